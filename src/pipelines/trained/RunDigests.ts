/**
 * The SHA-256 of the weights that a run has now. What was made of other weights, such as an atlas of a former tokenizer, tells nothing about these.
 */
import { Effect, type FileSystem, Option, type Path } from "effect"
import * as Files from "../../layers/files/Files.ts"
import * as Weights from "../../layers/weights/Weights.ts"

type Io = FileSystem.FileSystem | Path.Path

const ENDING = ".safetensors"

/** The weights of a finished stage. */
export interface StageDigest {
  readonly stage: string
  /** Its kind, or the name that a custom stage gave its model; undefined if its file does not tell it. */
  readonly kind: string | undefined
  /** That of its arrays with their names (`Weights.digest`). */
  readonly digest: string
}

/** Reads a file of weights, and computes their digest. */
export const ofFile = (file: string): Effect.Effect<string, Weights.WeightsError, Io> =>
  Effect.flatMap(Weights.read(file, { anyNumber: true }), ({ tensors }) => Weights.digest(tensors))

/** Computes the digests of all finished stages of a run. `digestOf` may keep those of files that have not changed. */
export const of = Effect.fnUntraced(function*(
  run: string,
  digestOf: (file: string) => Effect.Effect<string, Weights.WeightsError | Files.FileError, Io> = ofFile
): Effect.fn.Return<ReadonlyArray<StageDigest>, Weights.WeightsError | Files.FileError, Io> {
  const { fs, path } = yield* Files.make
  const folder = path.join(run, "stages")
  const names = yield* Files.ifThere(Files.onFailure(folder)(fs.readDirectory(folder)))
  const files = Option.getOrElse(names, (): ReadonlyArray<string> => []).filter((name) => name.endsWith(ENDING))
  return yield* Effect.forEach(
    files.toSorted(),
    Effect.fnUntraced(function*(name) {
      const file = path.join(folder, name)
      const provenance = Option.getOrUndefined(yield* Weights.readProvenance(file))
      const found: StageDigest = {
        stage: name.slice(0, -ENDING.length),
        kind: provenance?.model?._tag ?? provenance?.custom?.name,
        digest: yield* digestOf(file)
      }
      return found
    })
  )
})
