/** Checks of an engine's inputs and results, and the reasons of its errors. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Tracer from "../../compiler/kernels/Tracer.ts"
import * as Split from "../../compiler/trace/Split.ts"
import type * as Sums from "../../compiler/trace/Sums.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import type { HostOf } from "../../shapes/Step.ts"
import * as Tree from "../../shapes/Tree.ts"
import {
  BadInput,
  EngineError,
  ExternalDataMissing,
  Failed,
  FINITE,
  IndexOutOfRange,
  NonFinite,
  NotTraceable,
  OutOfMemory,
  type Reason,
  UnevenBatch,
  UnsupportedOperation,
  WrongShape
} from "./EngineError.ts"

/** Returns the array if its type and shape are the expected ones. `-1` stands for any size. Fails with `BadInput`. */
export const array = (
  program: string,
  input: string,
  expected: Tree.Leaf,
  found: HostTensor.Any | undefined
): Effect.Effect<HostTensor.Any, EngineError> => {
  const difference = HostTensor.difference(expected, found)
  // Without a difference there is an array.
  if (difference === undefined) return Effect.succeed(found!)
  return Effect.fail(new EngineError({ program, reason: new BadInput({ input, ...difference }) }))
}

/** Returns the arrays of a record by path, if they match the specification. Fails with `BadInput`. */
export const arrays = (
  program: string,
  group: string,
  spec: object,
  record: object
): Effect.Effect<ReadonlyMap<string, HostTensor.Any>, EngineError> => {
  const found = new Map(Tree.leaves<HostTensor.Any>(record))
  const checked = Effect.forEach(
    Tree.leaves(spec),
    ([path, leaf]) =>
      Effect.map(array(program, `${group}.${path}`, leaf, found.get(path)), (one) => [path, one] as const)
  )
  return Effect.map(checked, (entries) => new Map(entries))
}

/** Fails with `BadInput` if devices would get places of rows that others have. */
export const shares = (
  program: string,
  spec: object,
  arrays: ReadonlyMap<string, HostTensor.Any>,
  devices: number
): Effect.Effect<void, EngineError> => {
  const wrong = Tree.leaves<Split.Splittable>(spec)
    .find(([path, { split }]) => !Split.fits(arrays.get(path)!, split, devices))
  if (wrong === undefined) return Effect.void
  const [path, { shape: [count = 1] }] = wrong
  return Effect.fail(
    new EngineError({
      program,
      reason: new BadInput({
        input: `batch.${path}`,
        expected: `${count / devices} places of the rows of each of ${devices} devices, in their order`,
        given: "another number of places for some of them, or in another order"
      })
    })
  )
}

/**
 * Returns the share of a batch that a rank gets. Each array may be that of the whole batch, or the share itself, with places that count
 * in the share. Fails with `BadInput`.
 */
export const share = (
  program: string,
  spec: object,
  batch: object,
  { rank, size }: Sums.Place
): Effect.Effect<ReadonlyMap<string, HostTensor.Any>, EngineError> => {
  const found = new Map(Tree.leaves<HostTensor.Any>(batch))
  const own = new Map(Tree.leaves(Split.specs(spec, size)))
  const shared = Effect.forEach(
    Tree.leaves<Split.Splittable>(spec),
    Effect.fnUntraced(function*([path, leaf]) {
      const given = found.get(path)
      const { split } = leaf
      if (HostTensor.difference(own.get(path)!, given) === undefined) return [path, given!] as const
      const whole = yield* array(program, `batch.${path}`, leaf, given)
      yield* shares(program, { [path]: leaf }, new Map([[path, whole]]), size)
      return [path, Split.part(whole, split, size, rank)] as const
    })
  )
  return Effect.map(shared, (entries) => new Map(entries))
}

// The last is OpenVINO's message on an array that is too large for any memory.
const ALLOCATION =
  /failed to allocate|OOM when allocating|bad_alloc|out of memory|allocation failed|array length|construct a memory desc|shape is too large/i
// Messages of TensorFlow and TensorFlow.js, ONNX Runtime and OpenVINO.
const INDEX =
  /is not in \[\d+, \d+[\])]|does not index into param|segment_ids.* is out of range|indices element out of data bounds.*|out of range value in index|index out of range|indices values of \w+ exceed data size/i
// Messages of TensorFlow.js, ONNX Runtime and OpenVINO.
const UNSUPPORTED = [
  /Kernel '(\w+)' not registered/,
  /Could not find an implementation for (\w+)/,
  /No Op registered for (\w+)/,
  /No conversion rule found for operations: ([\w.]+)/
]

// ONNX Runtime's message on a shape in external data.
const ELSEWHERE = /Cannot parse data from external tensors\..* for tensor: (\S+)/

/** Returns the reason for an error that a runtime threw or reported. `among` says who shares a batch. */
export const reasonOf = (cause: unknown, among: UnevenBatch["among"] = "devices"): Reason => {
  const detail = (cause instanceof Error ? cause.message : String(cause)).trim()
  if (cause instanceof Split.Uneven) {
    return new UnevenBatch({ array: cause.array, rows: cause.rows, among, count: cause.devices })
  }
  if (cause instanceof ShapeError.ShapeError) return new WrongShape({ problem: detail })
  if (cause instanceof Tracer.NotTraceable) return new NotTraceable({ problem: detail })
  const operation = UNSUPPORTED.map((pattern) => pattern.exec(detail)?.[1]).find((found) => found !== undefined)
  if (operation !== undefined) return new UnsupportedOperation({ operation })
  const [, place] = ELSEWHERE.exec(detail) ?? []
  if (place !== undefined) {
    const problem = "and shapes depend on them, which are known before other files are opened"
    return new ExternalDataMissing({ places: [place], problem })
  }
  if (INDEX.test(detail)) return new IndexOutOfRange({ detail })
  return ALLOCATION.test(detail) ? new OutOfMemory({ detail }) : new Failed({ detail })
}

/** Fails with `UnsupportedOperation`: the engine runs only steps, no models made by other tools. */
export const noForeignModels = (program: string): Effect.Effect<never, EngineError> =>
  Effect.fail(
    new EngineError({ program, reason: new UnsupportedOperation({ operation: "models made by other tools" }) })
  )

/** Returns the result of `body`, or fails with the reason why it throws. `among` says who shares a batch. */
export const attempt = <A>(
  program: string,
  body: () => A,
  among?: UnevenBatch["among"]
): Effect.Effect<A, EngineError> =>
  Effect.try({ try: body, catch: (cause) => new EngineError({ program, reason: reasonOf(cause, among) }) })

/** Fails with `NonFinite` if the metric `loss` or `gradientNorm` is not finite. */
export const finite = <M>(program: string, step: number, metrics: HostOf<M>): Result.Result<void, EngineError> => {
  const measured = new Map(Tree.leaves<HostTensor.Any>(metrics as object))
  const metric = FINITE.find((name) => !Number.isFinite(measured.get(name)?.data[0] ?? 0))
  if (metric === undefined) return Result.void
  const value = String(measured.get(metric)!.data[0])
  return Result.fail(new EngineError({ program, reason: new NonFinite({ step, metric, value }) }))
}
