/** Tells what of a run was made of other weights than the run has now: its atlas, its completions, its looks. */
import { Effect, type FileSystem, Option, type Path } from "effect"
import * as Files from "../../layers/files/Files.ts"
import * as CompletionSample from "../../layers/run/CompletionSample.ts"
import * as AtlasIndex from "../atlas/AtlasIndex.ts"
import * as AtlasState from "../atlas/AtlasState.ts"
import * as LookFolder from "../look/LookFolder.ts"
import * as RunDigests from "../trained/RunDigests.ts"

/** Something that was made of weights. */
export interface Made {
  /** Its name, at the beginning of a sentence. */
  readonly what: string
  /** The SHA-256 of the weights; undefined if it was not kept. */
  readonly weights: string | undefined
  /** True if it was made of a tokenizer, so that only tokenizers are compared. */
  readonly ofTokenizer: boolean
}

/** Describes an atlas. */
export const atlas = ({ tokenizer }: AtlasIndex.Identity): Made => ({
  what: "the atlas",
  weights: tokenizer,
  ofTokenizer: true
})

/** Describes the completion of a split: by its tokenizer, and by its network. */
export const completion = ({ split, weights }: CompletionSample.Sample): ReadonlyArray<Made> => [
  { what: `the completion of ${split} (its codes)`, weights: weights?.tokenizer, ofTokenizer: true },
  { what: `the completion of ${split} (its network)`, weights: weights?.backbone, ofTokenizer: false }
]

/** Describes a look. */
export const look = ({ kind, network, weights }: LookFolder.Look): Made => ({
  what: `the ${kind === "pca" ? "picture of components" : "attention"} of ${network}`,
  weights,
  ofTokenizer: false
})

/** Returns a sentence on each that was made of other weights. A run without finished weights has none to compare with. */
export const sentences = (
  made: ReadonlyArray<Made>,
  now: ReadonlyArray<RunDigests.StageDigest>
): ReadonlyArray<string> =>
  made.flatMap(({ ofTokenizer, weights, what }) => {
    const compared = ofTokenizer ? now.filter(({ isTokenizer }) => isTokenizer) : now
    if (weights === undefined || compared.length === 0 || compared.some(({ digest }) => digest === weights)) return []
    const present = compared.map(({ digest, stage }) => `${stage} ${digest.slice(0, 12)}`).join(", ")
    return [
      `${what} was made of other weights than the run has now (SHA-256 ${
        weights.slice(0, 12)
      }; now ${present}). Make it again`
    ]
  })

/** Reads all of a run that was made of weights, and returns the sentences. What cannot be read is told, too. */
export const ofRun = (
  run: string
): Effect.Effect<ReadonlyArray<string>, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const { path, readText } = yield* Files.make
    const text = yield* Files.ifThere(readText(path.join(run, AtlasIndex.FOLDER, AtlasIndex.INDEX)))
    const index = Option.isNone(text) ? [] : [atlas(yield* AtlasState.parse(text.value))]
    const samples = yield* CompletionSample.read(run)
    const looks = yield* LookFolder.ofRun(run)
    const made = [...index, ...samples.flatMap(completion), ...looks.map((one) => look(one.look))]
    return made.length === 0 ? [] : sentences(made, yield* RunDigests.of(run))
  }).pipe(Effect.catch((error) => Effect.succeed([error.finding])))
