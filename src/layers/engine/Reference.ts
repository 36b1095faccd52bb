/** Runs steps eagerly on TensorFlow.js's cpu backend. */
import * as tf from "@tensorflow/tfjs-core"
import { Effect, Result } from "effect"
import * as BackendScope from "../../compiler/trace/BackendScope.ts"
import * as TracedStep from "../../compiler/trace/TracedStep.ts"
import type { DType } from "../../shapes/HostTensor.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import type { HostOf, Inference, TrainStep } from "../../shapes/Step.ts"
import { type Any, untyped } from "../../shapes/Tensor.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as Check from "./Check.ts"
import { Disposed, EngineError, NotTaken } from "./EngineError.ts"
import type { Engine } from "./EngineService.ts"

/** Runs `body` on the cpu backend. Frees every tensor that it made but did not keep. */
const onCpu = <A>(program: string, body: () => A): Effect.Effect<A, EngineError> =>
  Check.attempt(program, () => BackendScope.run("cpu", body))

const upload = (spec: object, arrays: ReadonlyMap<string, HostTensor.Any>): object =>
  Tree.map<object>(
    spec,
    (leaf, path) => tf.tensor(arrays.get(path)!.data.slice(), [...leaf.shape], leaf.dtype as DType)
  )

const download = <T>(tree: object): T =>
  Tree.map<T>(tree, (leaf) => {
    const tensor = untyped(leaf as Any)
    return { shape: [...tensor.shape], dtype: tensor.dtype, data: tensor.dataSync().slice() }
  })

const tensors = (tree: object): ReadonlyArray<tf.Tensor> => Tree.leaves<Any>(tree).map(([, leaf]) => untyped(leaf))

/** Makes an engine that runs steps without compilation. */
export const make = (): Effect.Effect<Engine["Service"]> =>
  Effect.sync(() => {
    // TensorFlow.js would print an advertisement for its other packages.
    tf.env().set("PROD", true)
    const held = new Set<{ tree: object }>()

    const hold = Effect.fnUntraced(
      function*(program: string, spec: object, arrays: ReadonlyMap<string, HostTensor.Any>) {
        const owner = yield* Effect.acquireRelease(
          onCpu(program, () => {
            const made = { tree: upload(spec, arrays) }
            for (const tensor of tensors(made.tree)) tf.keep(tensor)
            held.add(made)
            return made
          }),
          (made) =>
            Effect.sync(() => {
              held.delete(made)
              for (const tensor of tensors(made.tree)) tensor.dispose()
            })
        )
        const use = <A>(body: (owned: { tree: object }) => A): Effect.Effect<A, EngineError> =>
          Effect.suspend(() =>
            held.has(owner)
              ? onCpu(program, () => body(owner))
              : Effect.fail(new EngineError({ program, reason: new Disposed({}) }))
          )
        return use
      }
    )

    const service: Engine["Service"] = {
      name: "reference",
      about: { engine: "reference", version: tf.version_core, threads: 1, precision: "fp32", precisions: ["fp32"] },
      train: Effect.fnUntraced(function*<S, B, M>(step: TrainStep<S, B, M>, initial: HostOf<S>, before = 0) {
        const arrays = yield* Check.arrays(step.name, "state", step.state as object, initial as object)
        const use = yield* hold(step.name, step.state as object, arrays)
        let steps = before
        return {
          ahead: 0,
          run: Effect.fnUntraced(function*(batch: HostOf<B>, number?: number) {
            const given = yield* Check.arrays(step.name, "batch", step.batch as object, batch as object)
            if (number !== undefined && number !== steps + 1) {
              return yield* new EngineError({ program: step.name, reason: new NotTaken() })
            }
            const measured = yield* use((owner) => {
              const { metrics, state } = step.run(owner.tree as S, upload(step.batch as object, given) as B)
              TracedStep.keepsShapes(step.state as object, state as object)
              const measured = download<HostOf<M>>(metrics as object)
              const next = Tree.map<object>(state as object, (leaf) => tf.keep(untyped(leaf as Any).clone()))
              for (const tensor of tensors(owner.tree)) tensor.dispose()
              owner.tree = next
              const finite = Check.finite(step.name, steps + 1, measured)
              if (Result.isSuccess(finite)) steps++
              return Result.map(finite, () => measured)
            })
            return yield* Effect.fromResult(measured)
          }),
          snapshot: use((owner) => ({ steps, state: download<HostOf<S>>(owner.tree) }))
        }
      }),
      infer: Effect.fnUntraced(function*<W, B, O>(inference: Inference<W, B, O>, weights: HostOf<W>) {
        const arrays = yield* Check.arrays(inference.name, "weights", inference.weights as object, weights as object)
        const use = yield* hold(inference.name, inference.weights as object, arrays)
        return {
          run: Effect.fnUntraced(function*(batch: HostOf<B>) {
            const given = yield* Check.arrays(inference.name, "batch", inference.batch as object, batch as object)
            return yield* use(({ tree }) =>
              download<HostOf<O>>(inference.run(tree as W, upload(inference.batch as object, given) as B) as object)
            )
          })
        }
      }),
      load: Check.noForeignModels,
      memory: Effect.sync(() => {
        const all = Array.from(held).flatMap(({ tree }) => tensors(tree))
        return {
          handles: held.size,
          tensors: all.length,
          bytes: all.reduce((sum, tensor) => sum + tensor.size * tf.util.bytesPerElement(tensor.dtype), 0)
        }
      })
    }
    return service
  })
