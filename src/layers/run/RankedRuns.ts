/**
 * The run folder of several ranks. Rank 0 alone reads and writes it, so the others need no common disk. They call the same functions, and
 * hear from rank 0 what is in the folder. What they write is left out.
 */
import { Context, Effect, Layer, Option, Schema } from "effect"
import { version } from "../../domain/values/Version.ts"
import * as Parcel from "../ranks/Parcel.ts"
import * as Ranks from "../ranks/Ranks.ts"
import * as Weights from "../weights/Weights.ts"
import * as Checkpoints from "./Checkpoints.ts"
import * as FailedBatch from "./FailedBatch.ts"
import * as Runs from "./Runs.ts"

/** How a value is sent. */
interface Form<A> {
  readonly to: (value: A) => Parcel.Parcel
  readonly from: (sent: Parcel.Parcel) => A
}

const plain = <A>(): Form<A> => ({
  to: (data) => ({ data, arrays: {} }),
  from: ({ data }) => data as A
})

const optional = <A>({ from, to }: Form<A>): Form<Option.Option<A>> => ({
  to: Option.match({
    onNone: () => ({ data: [], arrays: {} }),
    onSome: (value) => {
      const { arrays, data } = to(value)
      return { data: [data], arrays }
    }
  }),
  from: ({ arrays, data }) => {
    const [found, ...none] = data as ReadonlyArray<unknown>
    return found === undefined && none.length === 0 ? Option.none() : Option.some(from({ data: found, arrays }))
  }
})

const Origin = Schema.NullOr(Weights.Provenance)

const weights: Form<Weights.Weights> = {
  to: ({ provenance, tensors }) => ({
    data: Schema.encodeSync(Origin)(Option.getOrNull(provenance)),
    arrays: { tensors }
  }),
  from: ({ arrays, data }) => Weights.make(arrays["tensors"] ?? {}, Schema.decodeUnknownSync(Origin)(data) ?? undefined)
}

const snapshot: Form<Checkpoints.Snapshot> = {
  to: ({ optimizer, weights: kept, ...data }) => ({ data, arrays: { weights: kept, optimizer } }),
  from: ({ arrays, data }) => ({
    ...data as Omit<Checkpoints.Snapshot, "weights" | "optimizer">,
    weights: arrays["weights"] ?? {},
    optimizer: arrays["optimizer"] ?? {}
  })
}

/**
 * Makes the function that gives the result of rank 0 to all ranks. The others do not run the effect. A failure of rank 0 ends all. One of
 * MPI is a defect: nothing can go on then.
 */
const sharing =
  (ranks: Ranks.Ranks) => <A>({ from, to }: Form<A>) => <E>(read: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.gen(function*() {
      if (ranks.rank > 0) {
        return from(yield* Effect.orDie(Parcel.receive(ranks)))
      }
      const value = yield* read
      yield* Effect.orDie(Parcel.send(ranks, to(value)))
      return value
    })

const runsOf = (ranks: Ranks.Ranks, { readLog, ...runs }: Runs.Runs["Service"]): Runs.Runs["Service"] => {
  const shared = sharing(ranks)
  return {
    ...runs,
    rewind: (stage, step) => shared(plain<number>())(runs.rewind(stage, step)),
    readLog: shared(plain<ReadonlyArray<Runs.Row>>())(readLog),
    result: (stage) => shared(optional(plain<typeof Schema.Json.Type>()))(runs.result(stage)),
    weights: (stage) => shared(optional(weights))(runs.weights(stage))
  }
}

const checkpointsOf = (
  ranks: Ranks.Ranks,
  checkpoints: Checkpoints.Checkpoints["Service"]
): Checkpoints.Checkpoints["Service"] => {
  const shared = sharing(ranks)
  return {
    ...checkpoints,
    latest: (request) => shared(optional(snapshot))(checkpoints.latest(request)),
    load: (request) => shared(snapshot)(checkpoints.load(request)),
    read: (stage, step) => shared(snapshot)(checkpoints.read(stage, step)),
    steps: (stage) => shared(plain<ReadonlyArray<number>>())(checkpoints.steps(stage))
  }
}

/** What a rank that is not the first keeps of a run: nothing. */
const nothing = Effect.gen(function*() {
  const memory = yield* Layer.build(Runs.layerMemory())
  const runs = Context.get(memory, Runs.Runs)
  const checkpoints = Context.get(memory, Checkpoints.Checkpoints)
  return {
    runs: {
      ...runs,
      log: () => Effect.void,
      timing: () => Effect.void,
      computesOn: () => Effect.void,
      saveWeights: () => Effect.void,
      saveBatch: (stage: string, step: number) => Effect.succeed(FailedBatch.nameOf(stage, step)),
      saveSample: () => Effect.void
    },
    checkpoints: { ...checkpoints, save: () => Effect.void, clear: () => Effect.void }
  }
})

/**
 * Opens a run folder for all ranks; see `Runs.layer`. Ranks with another configuration, another version of patchword or of Node.js are
 * refused before the folder is touched.
 */
export const layer = (directory: string, options: Runs.Options) =>
  Layer.unwrap(Effect.gen(function*() {
    const ranks = yield* Ranks.Ranks
    if (ranks.size === 1) return Runs.layer(directory, options)
    yield* Ranks.agree("configuration", options.config)
    yield* Ranks.agree("program", { patchword: version, node: process.versions.node })
    const wrap = (runs: Runs.Runs["Service"], checkpoints: Checkpoints.Checkpoints["Service"]) =>
      Layer.merge(
        Layer.succeed(Runs.Runs, runsOf(ranks, runs)),
        Layer.succeed(Checkpoints.Checkpoints, checkpointsOf(ranks, checkpoints))
      )
    if (ranks.rank > 0) {
      return Layer.unwrap(Effect.map(nothing, ({ checkpoints, runs }) => wrap(runs, checkpoints)))
    }
    return Layer.flatMap(Runs.layer(directory, options), (own) =>
      Layer.merge(
        Layer.succeedContext(own),
        wrap(Context.get(own, Runs.Runs), Context.get(own, Checkpoints.Checkpoints))
      ))
  }))
