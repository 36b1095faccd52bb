/**
 * Tells what is wrong with the parts that commands have added to a run: its atlas, its completions, its looks, its health and the images of
 * its batches. They are read as the pages of the studio read them, so that the pages name the same.
 */
import { Effect, type FileSystem, Option, type Path } from "effect"
import type { Told } from "../../domain/values/TaggedError.ts"
import * as CompletionSample from "../../layers/run/CompletionSample.ts"
import * as Atlas from "../atlas/Atlas.ts"
import * as HealthFile from "../doctor/HealthFile.ts"
import * as LookFolder from "../look/LookFolder.ts"
import type { Run } from "../runs/Run.ts"
import * as Sample from "../runs/Sample.ts"
import * as RunDigests from "../trained/RunDigests.ts"
import * as OtherWeights from "./OtherWeights.ts"

const sentence = ({ finding, remedy }: Told): string => `${finding}; ${remedy}`

/** Returns a sentence on each part of a run that is damaged or not finished, or was made of other weights than the run has now. */
export const of = Effect.fnUntraced(
  function*(run: Run): Effect.fn.Return<ReadonlyArray<string>, never, FileSystem.FileSystem | Path.Path> {
    const { path: folder } = run
    const errors: Array<Told> = []
    const tolerant = <A, R>(self: Effect.Effect<A, Told, R>, otherwise: A): Effect.Effect<A, never, R> =>
      Effect.catch(self, (error) =>
        Effect.sync(() => {
          errors.push(error)
          return otherwise
        }))
    const some = Effect.fnUntraced(function*<A, R>(
      self: Effect.Effect<readonly [ReadonlyArray<A>, ReadonlyArray<Told>], Told, R>
    ) {
      const [whole, damaged] = yield* tolerant(self, [[], []])
      errors.push(...damaged)
      return whole
    })
    const atlas = Option.getOrUndefined(
      yield* tolerant(
        Atlas.open(folder).pipe(
          Effect.asSome,
          Effect.catchIf(Atlas.isNone, () => Effect.succeedNone)
        ),
        Option.none()
      )
    )
    const lost = atlas && Atlas.lostOfAll(atlas)
    if (lost !== undefined) errors.push(lost)
    const samples = yield* some(CompletionSample.read(folder))
    const looks = yield* some(LookFolder.ofRun(folder))
    yield* some(Sample.read(folder))
    const report = Option.getOrUndefined(yield* tolerant(HealthFile.read(folder), Option.none()))
    const made = [
      ...(atlas === undefined ? [] : [OtherWeights.atlas(atlas.index)]),
      ...samples.flatMap(OtherWeights.completion),
      ...looks.map(({ look }) => OtherWeights.look(look))
    ]
    const isMade = made.length > 0 || report !== undefined
    const now = isMade ? yield* tolerant(RunDigests.of(folder), undefined) : undefined
    const damaged = errors.map(sentence)
    if (now === undefined) return damaged
    const old = report === undefined ? [] : OtherWeights.health(report, run, now)
    return [
      ...damaged,
      ...OtherWeights.sentences(made, now),
      ...old.map((one) => `${one}. patchword doctor ${folder} examines it again`)
    ]
  }
)
