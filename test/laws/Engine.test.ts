import { afterAll, afterEach } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import { Effect, Fiber, Layer, ManagedRuntime, Scope } from "effect"
import * as Laws from "../../src/laws/index.ts"
import * as Engine from "../../src/layers/engine/Engine.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf } from "../../src/shapes/Step.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import { refuses } from "./kit.ts"

type Service = Engine.Engine["Service"]
type TrainHandle = Engine.TrainHandle<unknown, unknown, unknown>
type InferHandle = Engine.InferHandle<unknown, unknown>
type Failing<A, R = never> = Effect.Effect<A, Engine.EngineError, R>

interface Change {
  readonly train?: (handle: TrainHandle, service: Service) => Partial<TrainHandle>
  readonly infer?: (handle: InferHandle) => Partial<InferHandle>
  readonly opened?: <A>(open: Failing<A, Scope.Scope>) => Failing<A, Scope.Scope>
  readonly service?: (service: Service) => Partial<Service>
}

const engines: Array<ManagedRuntime.ManagedRuntime<Engine.Engine, Engine.EngineError>> = []

afterAll(() => Promise.all(engines.map((runtime) => runtime.dispose())))

const changed = ({ infer, opened = (open) => open, service = () => ({}), train }: Change) => {
  const layer = Layer.effect(
    Engine.Engine,
    Effect.map(Engine.Engine, (own): Service => ({
      ...own,
      train: (step, initial, steps) =>
        opened(Effect.map(
          own.train(step, initial, steps),
          (handle) => ({ ...handle, ...train?.(handle as TrainHandle, own) }) as typeof handle
        )),
      infer: (inference, weights) =>
        opened(Effect.map(
          own.infer(inference, weights),
          (handle) => ({ ...handle, ...infer?.(handle as InferHandle) }) as typeof handle
        )),
      ...service(own)
    }))
  )
  const runtime = ManagedRuntime.make(
    Layer.provide(layer, Layer.fresh<Engine.Engine, Engine.EngineError, never>(Engine.layerReference))
  )
  engines.push(runtime)
  return runtime
}

const times = (factor: number) => (tree: unknown) =>
  Tree.map<HostOf<unknown>>(tree as object, (leaf) => {
    const { data, ...rest } = leaf as { data: Float32Array } & typeof leaf
    return { ...rest, data: data.map((x) => x * factor) }
  })

const wrongNumbers = () => changed({ train: ({ run }) => ({ run: (batch) => Effect.map(run(batch), times(1.1)) }) })

type Run = InferHandle["run"]

const inferring = (change: (run: Run) => Run) => changed({ infer: ({ run }) => ({ run: change(run) }) })

const constant = (run: Run): Run => {
  let first: HostOf<object> | undefined
  return (batch) =>
    first === undefined ? Effect.tap(run(batch), (all) => Effect.sync(() => (first = all))) : Effect.succeed(first)
}

const reusing = (run: Run): Run => {
  let first: HostOf<unknown> | undefined
  return (batch) =>
    Effect.map(run(batch), (all) => {
      first ??= all
      const kept = new Map(Tree.leaves<HostTensor.Any>(first as object))
      for (const [path, { data }] of Tree.leaves<HostTensor.Any>(all as object)) kept.get(path)!.data.set(data)
      return first
    })
}

const leaves = (change: (leaf: HostTensor.Any) => HostTensor.Any) =>
  inferring((run) => (batch) =>
    Effect.map(run(batch), (all) => Tree.map<HostOf<unknown>>(all as object, (leaf) => change(leaf as HostTensor.Any)))
  )

const through = (change: (x: number) => number, only: HostTensor.DType = "float32") => (leaf: HostTensor.Any) =>
  leaf.dtype === only ? { ...leaf, data: leaf.data.map(change) } as HostTensor.Any : leaf

const asFloats = ({ data, shape }: HostTensor.Any) => HostTensor.make(shape, "float32", Float32Array.from(data))

const named = () => {
  const opened = new Map<string, unknown>()
  return changed({
    service: ({ infer }) => ({
      infer: (inference, weights) =>
        Effect.map(infer(inference, weights), (handle) => {
          if (!opened.has(inference.name)) opened.set(inference.name, handle)
          return opened.get(inference.name) as typeof handle
        })
    })
  })
}

const wrongPart = (part: "second" | "ema") =>
  changed({
    train: ({ snapshot }) => ({
      snapshot: Effect.map(snapshot, (all) => {
        const state = all.state as Readonly<Record<string, object>>
        return {
          ...all,
          state: { ...state, ...(state[part] === undefined ? {} : { [part]: times(1.01)(state[part]) }) }
        }
      })
    })
  })

const mixed = <A>(effect: Failing<A>): Failing<A> =>
  Effect.mapError(
    effect,
    ({ program }) => new Engine.EngineError({ program, reason: new Engine.Failed({ detail: "it went wrong" }) })
  )

const vague = () =>
  changed({
    train: ({ run, snapshot }) => ({ run: (batch) => mixed(run(batch)), snapshot: mixed(snapshot) }),
    opened: (open) =>
      Effect.mapError(
        open,
        ({ program }) => new Engine.EngineError({ program, reason: new Engine.Failed({ detail: "it went wrong" }) })
      )
  })

const noise = () => {
  let taken = 0
  return changed({
    train: ({ run }) => ({ run: (batch) => Effect.map(run(batch), (all) => times(1 + 1e-6 * taken++)(all)) })
  })
}

const writing = () =>
  changed({
    train: ({ run }) => ({
      run: (batch) =>
        Effect.tap(run(batch), () =>
          Effect.sync(() => {
            const [, leaf] = Tree.leaves<{ readonly data: Float32Array } & Tree.Leaf>(batch as object)[0]!
            leaf.data[0] = 7
          }))
    })
  })

const leaking = () => {
  const scope = Effect.runSync(Scope.make())
  return changed({ opened: (open) => Scope.provide(open, scope) })
}

const late = () => changed({ train: ({ run }) => ({ run: (batch) => Effect.andThen(Effect.yieldNow, run(batch)) }) })

const detached = () =>
  changed({
    train: ({ run }) => ({
      run: (batch) => Effect.flatMap(Effect.forkDetach(Effect.andThen(Effect.yieldNow, run(batch))), Fiber.join)
    })
  })

const others = () => {
  const opened: Array<TrainHandle> = []
  return changed({
    train: (handle) => {
      opened.push(handle)
      return { run: opened[4 * Math.floor((opened.length - 1) / 4)]!.run }
    }
  })
}

const littering = () =>
  changed({
    train: ({ run }) => ({ run: (batch) => Effect.tapError(run(batch), () => Effect.sync(() => tf.scalar(1))) })
  })

const elsewhere = () => {
  tf.registerBackend("elsewhere", tf.findBackendFactory("cpu"))
  tf.copyRegisteredKernels("cpu", "elsewhere")
  return changed({
    infer: ({ run }) => ({
      run: (batch) => Effect.tap(run(batch), () => Effect.promise(() => tf.setBackend("elsewhere")))
    })
  })
}

afterEach(() => tf.setBackend("cpu"))

refuses("an engine", Laws.engine, changed({}), {
  "takes five steps with the reference's numbers": {
    mutant: wrongNumbers(),
    said: /number 0 of 0\.loss in the metrics is \S+ but must be about \S+\nexample: 0\n/
  },
  "takes several steps for one update with the reference's numbers": [
    { mutant: wrongNumbers(), said: /number 0 of 0\.loss in the metrics is/ },
    { mutant: wrongPart("second"), said: /number \d of second\.weight in the state is/ }
  ],
  "averages the weights with the reference's numbers": [
    { mutant: wrongPart("ema"), said: /number \d of ema\.\w+ in the state is/ }
  ],
  "infers with the reference's numbers, for all element types and with several programs open": [
    {
      mutant: inferring((run) => (batch) => Effect.map(run(batch), times(1.01))),
      said: /number \d of (mixed|outputs)\.\S+ in the inferences is \S+ but must be about \S+\nexample: 0\n/
    },
    { mutant: inferring(constant), said: /number \d of (mixed|outputs)\.1\.\S+ in the inferences is/ },
    { mutant: inferring(reusing), said: /number \d of (mixed|outputs)\.0\.\S+ in the inferences is/ },
    {
      mutant: leaves(through((x) => Number.isNaN(x) ? 0 : x)),
      said: /4 of mixed\.0\.rows in the inferences is|mixed\.0\.\w+ in the inferences is/
    },
    {
      mutant: leaves(through(Math.fround, "int32")),
      said: /mixed\.0\.counts in the inferences is \[16777216,-7\] but must be \[16777217,-7\]/
    },
    {
      mutant: leaves(asFloats),
      said: /the element type of mixed\.0\.\w+ in the inferences is "float32" but must be "(int32|bool)"/
    },
    { mutant: named(), said: /engine, (?:affine|mixed): / }
  ],
  "learns": {
    mutant: changed({
      train: ({ snapshot }) => ({
        run: () => Effect.as(snapshot, { loss: { shape: [], dtype: "float32", data: Float32Array.of(1) } })
      })
    }),
    said: /the loss goes from 1 to 1/
  },
  "gives the same bytes for the same steps": {
    mutant: noise(),
    said: /data of loss of 0 of metrics of the second result is/
  },
  "returns lists within records": {
    mutant: changed({
      infer: ({ run }) => ({ run: (batch) => Effect.map(run(batch), (all) => ({ ...all as object })) })
    }),
    said: /the outputs are no array/
  },
  "returns a value under each of its names": {
    mutant: changed({ train: ({ run }) => ({ run: (batch) => Effect.map(run(batch), times(2)) }) }),
    said: /0 of loss of the record of metrics is/
  },
  "sums the squares of millions of numbers accurately": {
    mutant: changed({ infer: ({ run }) => ({ run: (batch) => Effect.map(run(batch), times(1.001)) }) }),
    said: /number 0 of the norm, relative to its expected value, is 1\.001\S* but must be about 1/
  },
  "takes the first of equal numbers and codes, and gives all equal extremes the whole gradient": [
    { mutant: leaves(through((x) => x + 1, "int32")), said: /the list of places/ },
    { mutant: leaves(through((x) => x / 2)), said: /number 1 of the gradient of the largest numbers is 0\.5/ }
  ],
  "keeps denormal numbers, or takes them for zero": [
    { mutant: leaves(through((x) => Math.abs(x) < 2 ** -126 ? 0 : x)), said: /the copy of denormal numbers/ },
    { mutant: leaves(through((x) => x === Math.fround(1e-40) ? x : 1.01 * x)), said: /denormal|small numbers/ }
  ],
  "keeps the sign of zero in copies, products and rounding": {
    mutant: leaves(through((x) => x + 0)),
    said: /the copy of zeros/
  },
  "does not change the arrays that it receives": {
    mutant: writing(),
    said: /0 of data of x of the batch that was given is 7 but must be/
  },
  "names the input that differs from the step's declaration": {
    mutant: vague(),
    said: /the error says "engine, regression: it went wrong; [^"]*", not/
  },
  "refuses handles whose scope is closed": {
    mutant: leaking(),
    said: /a step was taken after the scope had closed/
  },
  "reports the memory that handles hold": {
    mutant: changed({ service: () => ({ memory: Effect.succeed({ handles: 1, tensors: 1, bytes: 1 }) }) }),
    said: /the number of handles is 0 but must be 2/
  },
  "names the step whose loss was not finite, and continues": {
    mutant: vague(),
    said: /the error says "engine, regression: it went wrong; [^"]*"/
  },
  "names the step whose gradient norm was not finite, and continues": {
    mutant: vague(),
    said: /the error says "engine, rooted: it went wrong; [^"]*"/
  },
  "refuses a step that changes the shape of its state": {
    mutant: changed({ train: () => ({ run: () => Effect.succeed({}) }) }),
    said: /a state of another shape is not refused/
  },
  "restores the previous backend of TensorFlow.js": {
    mutant: elsewhere(),
    said: /the backend is "elsewhere" but must be "cpu"/
  },
  "completes a step whose caller is interrupted": {
    mutant: late(),
    said: /steps of the state after an interrupted step is 0 but must be 1/
  },
  "continues the step count of its initial state": {
    mutant: changed({ service: ({ train }) => ({ train: (step, initial) => train(step, initial) }) }),
    said: /steps of the state of the continued handle is 1 but must be 2/
  },
  "gives snapshots whose state and step count match, even between concurrent steps": {
    mutant: changed({
      train: ({ snapshot }) => ({
        snapshot: Effect.map(snapshot, ({ state, steps }) => ({ state, steps: Math.max(0, steps - 1) }))
      })
    }),
    said: /the state of \d steps is/
  },
  "skips a step whose caller is interrupted before its turn": {
    mutant: detached(),
    said: /steps of the state after the interruption is 2 but must be 1/
  },
  "takes a step with a number only in its turn": {
    mutant: changed({ train: ({ run }) => ({ run: (batch) => run(batch) }) }),
    said: /an invalid action/
  },
  "separates handles that run at the same time, and keeps no memory of a run": {
    mutant: others(),
    said: /the state of one of three that ran at once is/
  },
  "fails with OutOfMemory and continues, with the same state or with StateCorrupted": {
    mutant: vague(),
    said: /the error is Failed: engine, greedy: it went wrong/
  },
  "frees the tensors of a failed step": {
    mutant: littering(),
    said: /the memory held afterwards is \{.*"ours":\d+\} but/
  },
  "holds the memory of its open handles after any action, and none when all are closed": {
    mutant: leaking(),
    said: /the memory held after "\w+" is \{"handles":\d+,.*\nexample: \[\{"kind":"\w+","which":0\}/
  }
})
