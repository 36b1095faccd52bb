/**
 * A few completed images of a run with their figures, so that they can be shown without an engine: `completion/SPLIT.json` in
 * the run's folder. A later completion of the split replaces the file.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { CompletionSample, Files } from "patchword/layers"
 *
 * const found = CompletionSample.read("runs/none").pipe(Effect.provide(Files.layerNode))
 * assert.deepStrictEqual(await Effect.runPromise(found), [[], []])
 * ```
 */
import { Effect, type FileSystem, type Path, Schema } from "effect"
import * as Fidelity from "../../domain/fidelity/Fidelity.ts"
import * as Explain from "../../domain/values/Explain.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Quantity from "../../domain/values/Quantity.ts"
import * as Files from "../files/Files.ts"
import * as Results from "./Results.ts"

/** A PNG file in base64. */
const Png = Schema.String.check(
  Schema.makeFilter((text: string) => /^[A-Za-z0-9+/]+={0,2}$/.test(text), { expected: "a PNG file in base64" })
)

/** An image with the pictures that were drawn of it. */
export const Shown = Schema.Struct({
  name: Schema.String,
  original: Png,
  /** Drawn from the true codes of all patches. */
  decoded: Png,
  /** The image without its masked patches. */
  masked: Png,
  /** The masked patches drawn from predicted codes. */
  completed: Png
})
export type Shown = typeof Shown.Type

/** The figures of a completion, and a few of its images. */
export const Sample = Schema.Struct({
  split: Schema.String,
  images: Quantity.Whole,
  /** Number of masked patches of each image, and of all its patches. */
  masked: Quantity.Whole,
  patches: Quantity.Count,
  codeAccuracy: Quantity.Share,
  /** The pixels of visible patches: those of the image, or drawn by each method. Samples of former versions do not say it. */
  visible: Schema.optionalKey(Schema.Literals(["keep", "decode"])),
  /** SHA-256 of the weights of the tokenizer, the pretrained network and the decoder. Samples of former versions lack some. */
  weights: Schema.optionalKey(Schema.Struct({
    tokenizer: Schema.String,
    backbone: Schema.String,
    decoder: Schema.optionalKey(Schema.String)
  })),
  methods: Schema.Record(Schema.String, Fidelity.Fidelity),
  /** Side of the pictures, in pixels. */
  side: Quantity.Size,
  shown: Schema.Array(Shown)
})
export type Sample = typeof Sample.Type

/** Folder of a run for samples. */
export const FOLDER = "completion"

const text = Json.text(Sample)
const encode = Schema.encodeEffect(text)
const decode = Schema.decodeEffect(text)

/** Writes the sample of a split to a run's folder, atomically. Returns its file. Fails with `FileError` if it cannot be written. */
export const save: (
  run: string,
  sample: Sample
) => Effect.Effect<string, Results.ResultsError, FileSystem.FileSystem | Path.Path> = Effect.fn(
  "patchword.CompletionSample.save"
)(function*(run, sample) {
  const { path, write } = yield* Files.make
  const file = path.join(run, FOLDER, `${encodeURIComponent(sample.split)}.json`)
  yield* Results.within(file)(write(file, `${yield* Effect.orDie(encode(sample))}\n`))
  return file
})

/** Decodes the text of a sample. Fails with `NoResult` if it is none. */
export const parse = (content: string): Effect.Effect<Sample, Results.NoResult> =>
  Effect.mapError(decode(content), (error) => new Results.NoResult({ problem: Explain.of(error) }))

/**
 * Reads the samples in a run's folder, ordered by the names of their files. Returns them, and an error for each that is damaged.
 * Fails with `FileError` if the folder cannot be read.
 */
export const read: (run: string) => Effect.Effect<
  readonly [whole: ReadonlyArray<Sample>, damaged: ReadonlyArray<Results.ResultsError>],
  Results.ResultsError,
  FileSystem.FileSystem | Path.Path
> = Effect.fn(
  "patchword.CompletionSample.read"
)((run) => Results.readFolder(run, FOLDER, (name) => !name.startsWith("."), parse))
