/**
 * Exports networks as ONNX files for any runtime. The input is images from 0 to 1. The outputs are features, logits or codes. The
 * file has only standard operators, of operator set 17. The normalisation of the input (mean and standard deviation) is part
 * of the file.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Presets } from "patchword/domain"
 * import { Backbone, Export } from "patchword/pipelines"
 *
 * const backbone = { _tag: "Backbone", ...Backbone.untrained(Presets.tiny.pretrain, 256) } as const
 * const bytes = await Effect.runPromise(Export.onnx(backbone, "features"))
 * assert.ok(bytes.length > 1_000_000)
 * ```
 */
import { Effect, type FileSystem, type Path, Result, Runtime, Schema } from "effect"
import * as OnnxExport from "../../compiler/export/OnnxExport.ts"
import { NotTraceable } from "../../compiler/kernels/Tracer.ts"
import * as Config from "../../domain/config/Config.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import { version } from "../../domain/values/Version.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import type * as Pooling from "../../nn/blocks/Pooling.ts"
import * as VitInference from "../../nn/blocks/VitInference.ts"
import * as FinetuneStep from "../../nn/finetune/FinetuneStep.ts"
import * as PretrainStep from "../../nn/pretrain/PretrainStep.ts"
import type * as Head from "../../nn/segmentation/Head.ts"
import * as SegmentStep from "../../nn/segmentation/SegmentStep.ts"
import * as TokenizerStep from "../../nn/tokenizer/TokenizerStep.ts"
import * as Codes from "../../shapes/Codes.ts"
import * as Dim from "../../shapes/Dim.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import * as FeatureMap from "../../shapes/maps/FeatureMap.ts"
import * as Normalization from "../../shapes/Normalization.ts"
import type { Inference as InferenceOf } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as Backbone from "../trained/Backbone.ts"
import * as Classifier from "../trained/Classifier.ts"
import * as Inference from "../trained/Inference.ts"
import * as Segmenter from "../trained/Segmenter.ts"
import * as Tokenizer from "../trained/Tokenizer.ts"

/** The outputs of a file, for images `[B, 3, H, W]` from 0 to 1. */
export const What = Schema.Literals([
  /** `codes` `[B, N]` int32 and `patches` `[B, N, C]` of a tokenizer. */
  "codes",
  /** `features` `[B, C]` of any network: one vector per image, as the program `features` computes them. */
  "features",
  /** `patches` `[B, N, C]` of a tokenizer or a backbone: one vector per patch, after the final norm. */
  "patches",
  /** `logits` `[B, K]` of a classifier. */
  "logits",
  /** `logits` `[B, K, H, W]` and `labels` `[B, H, W]` int32 of a segmenter: scores and class of each pixel of whole images. */
  "segmentation"
])
export type What = typeof What.Type

/** The network does not have the requested output. */
export class NotGiven extends TaggedError<NotGiven>()("NotGiven", {
  kind: Schema.String,
  what: Schema.String,
  given: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 64
  get finding() {
    return `a ${this.kind.toLowerCase()} has no output ${this.what}`
  }
  get remedy() {
    return `choose ${this.given.join(" or ")}`
  }
}

/** The file would be larger than the format allows. */
export class TooLarge extends TaggedError<TooLarge>()("TooLarge", { bytes: Schema.Int }) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the weights take ${(this.bytes / 1e9).toFixed(1)} GB, but an ONNX file holds at most 2 GB`
  }
  get remedy() {
    return "export a smaller network, or use the weights as safetensors"
  }
}

/** The network cannot be written as one file. */
export class NotExportable extends TaggedError<NotExportable>()("NotExportable", {
  problem: Schema.String,
  /** The action that helps. */
  remedy: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return this.problem
  }
}

/** A network cannot be exported. `reason` has the cause, and its exit code. */
export class ExportError extends TaggedError<ExportError>()("ExportError", {
  what: Schema.String,
  reason: Schema.Union([
    Config.ConfigError,
    NotGiven,
    TooLarge,
    NotExportable,
    Weights.NotFinite,
    Files.FileError,
    Tokenizer.OtherQuantizer
  ])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    return `export of ${this.what}: ${this.reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}

/** A network with its weights. An `Artifact` is one, and so is `Artifact.segmenter`. */
export type Network =
  | { readonly _tag: "Tokenizer" } & Tokenizer.Tokenizer
  | { readonly _tag: "Backbone" } & Backbone.Backbone
  | { readonly _tag: "Classifier" } & Classifier.Classifier
  | { readonly _tag: "Segmenter" } & Segmenter.Segmenter

/** The options of an export. */
export interface Options {
  /** The batch size; any number of images when absent. */
  readonly images?: number
  /** The provenance of the weights. */
  readonly provenance?: Weights.Provenance
  /** The feature of an image; by default the mean of its patch tokens after the final norm. */
  readonly pooling?: Pooling.Options
}

const MEAN: Pooling.Options = { pooling: "mean", finalNorm: true }

const PATCHES = "[images, patches, width]: one vector per patch, after the final norm"

/** Describes each output, for the file's metadata. */
const described = (what: What, { finalNorm, pooling }: Pooling.Options): Readonly<Record<string, string>> => {
  switch (what) {
    case "codes":
      return { codes: "[images, patches]: the code of each patch, row by row", patches: PATCHES }
    case "features": {
      const vector = pooling === "mean" ? "the mean of its patches" : "its class token"
      return { features: `[images, width]: ${vector}, ${finalNorm ? "after" : "before"} the final norm` }
    }
    case "patches":
      return { patches: PATCHES }
    case "logits":
      return { logits: "[images, classes]: the score of each class. The softmax gives probabilities" }
    case "segmentation":
      return {
        logits: "[images, classes, height, width]: the score of each class for each pixel",
        labels: "[images, height, width]: the class of each pixel, the one with the greatest score"
      }
  }
}

const LARGEST = 2 ** 31 - 2 ** 20

type Count = Dim.Dim<"images">

type Shown<Y extends number, X extends number> = { readonly images: Tensor<[Count, 3, Y, X]> }

/** A network that can be exported. */
interface Model {
  readonly imageSize: number
  /** The arrays that it reads, by their paths. */
  readonly weights: Effect.Effect<Weights.Tensors, Weights.WeightsError>
  readonly encode: (contents: OnnxExport.Contents, images: number | undefined) => Uint8Array
}

/** Makes an exportable network. `make` returns the inference for a batch size, `finish` selects the outputs of the file. */
const model = <W, Y extends number, X extends number, O>(
  { channels, finish, imageSize, make, tensors }: {
    readonly make: (images: Count) => InferenceOf<W, Shown<Y, X>, O>
    readonly finish: (outputs: O, images: Count) => object
    readonly tensors: Weights.Tensors
    readonly imageSize: number
    readonly channels?: { readonly mean: ReadonlyArray<number>; readonly std: ReadonlyArray<number> }
  }
): Model => {
  const of = (count: number): InferenceOf<W, Shown<Y, X>, object> => {
    const images = Dim.named("images", count)
    const inference = make(images)
    return {
      ...inference,
      run: (weights, batch) => {
        const shown = channels === undefined ? batch.images : Normalization.standardise(batch.images, channels)
        return finish(inference.run(weights, { images: shown }), images)
      }
    }
  }
  return {
    imageSize,
    weights: Effect.map(
      Inference.loadWeights(of(1), tensors),
      (record) => Object.fromEntries(Tree.leaves<HostTensor.Any>(record as object))
    ),
    encode: (contents, images) => OnnxExport.encode(of, contents, images)
  }
}

const models = Effect.fnUntraced(function*(network: Network, pooling: Pooling.Options) {
  const found: Readonly<Partial<Record<What, Model>>> = yield* modelsOf(network, pooling)
  return found
})

const modelsOf = Effect.fnUntraced(function*(network: Network, pooling: Pooling.Options) {
  switch (network._tag) {
    case "Tokenizer": {
      const { quantizer, sizes, tensors } = yield* Tokenizer.open(network)
      const { imageSize } = network.config.encoder
      const encode = (images: Count) => TokenizerStep.encode(sizes, images, quantizer)
      const patches = (images: Count) => TokenizerStep.patchFeatures(sizes, images)
      const both = (images: Count) => {
        const [codes, tokens] = [encode(images), patches(images)]
        type Given = Parameters<typeof codes.run>
        return { ...codes, run: (...given: Given) => ({ ...codes.run(...given), ...tokens.run(...given) }) }
      }
      return {
        codes: model({
          make: both,
          finish: ({ codes, target }, images) => ({
            codes: Codes.asGrid(codes, images, sizes.patches),
            patches: target
          }),
          tensors,
          imageSize
        }),
        features: model({
          make: (images) => TokenizerStep.features(sizes, images, pooling),
          finish: (outputs) => outputs,
          tensors: Tokenizer.weights(network),
          imageSize
        }),
        patches: model({
          make: patches,
          finish: ({ target }) => ({ patches: target }),
          tensors: Tokenizer.weights(network),
          imageSize
        })
      }
    }
    case "Backbone": {
      const sizes = Backbone.sizes(network.config, network.codes)
      const { augment, vit } = network.config
      const given = { tensors: Backbone.weights(network), imageSize: vit.imageSize, channels: augment }
      return {
        features: model({
          ...given,
          make: (images) => VitInference.features(PretrainStep.model(sizes), images, pooling),
          finish: (outputs) => outputs
        }),
        patches: model({
          ...given,
          make: (images) => VitInference.patchFeatures(PretrainStep.model(sizes), images),
          finish: ({ target }) => ({ patches: target })
        })
      }
    }
    case "Classifier": {
      const { augment, vit } = network.config
      const sizes = Classifier.sizes(network.config, network.classes.length)
      const given = { tensors: Classifier.weights(network), imageSize: vit.imageSize, channels: augment }
      return {
        logits: model({
          ...given,
          make: (images) => FinetuneStep.logits(sizes, images),
          finish: (outputs) => outputs
        }),
        features: model({
          ...given,
          make: (images) => VitInference.features(FinetuneStep.model(sizes), images, pooling),
          finish: (outputs) => outputs
        })
      }
    }
    case "Segmenter": {
      const { classes, config: { mean, std, vit }, config } = network
      const sizes = Segmenter.sizes(config, classes.length)
      return {
        segmentation: model({
          make: (images) =>
            SegmentStep.logits<Count, Segmenter.Sizes, Head.Parts>(
              sizes,
              images,
              Segmenter.headOf(config, classes.length)
            ),
          finish: ({ logits }) => ({
            logits,
            labels: Codes.argMax(FeatureMap.channelsLast(logits))
          }),
          tensors: Segmenter.weights(network),
          imageSize: vit.imageSize,
          channels: { mean, std }
        })
      }
    }
  }
})

/**
 * Encodes a network as an ONNX file. Its metadata hold the provenance, the image size, the class names and a description of
 * each output.
 *
 * Fails with 64 if the network does not have the requested output, with 65 if the weights do not fit the network, are too
 * large, or are not finite.
 */
export const onnx: (
  network: Network,
  what: What,
  options?: Options
) => Effect.Effect<Uint8Array, ExportError | Weights.WeightsError> = Effect.fn("patchword.Export.onnx")(
  function*(network, what, { images, pooling = MEAN, provenance } = {}) {
    yield* Effect.annotateCurrentSpan({ "patchword.what": what, "patchword.network": network._tag })
    const all = yield* models(network, pooling)
    const chosen = all[what]
    if (chosen === undefined) return yield* new NotGiven({ kind: network._tag, what, given: Object.keys(all) })
    if (what === "features" && network._tag === "Classifier") yield* Classifier.checkPooling(network.config, pooling)
    const { encode, imageSize } = chosen
    const weights = yield* chosen.weights
    yield* Weights.finite(weights)
    const bytes = Object.values(weights).reduce((sum, { data }) => sum + data.byteLength, 0)
    if (bytes > LARGEST) return yield* new TooLarge({ bytes })
    const metadata = {
      "patchword.version": version,
      "patchword.kind": network._tag,
      "patchword.imageSize": String(imageSize),
      "patchword.outputs": JSON.stringify(described(what, pooling)),
      ...("classes" in network ? { "patchword.classes": JSON.stringify(network.classes) } : {}),
      ...(provenance === undefined
        ? {}
        : { "patchword.provenance": JSON.stringify(Schema.encodeSync(Weights.Provenance)(provenance)) })
    }
    return yield* Effect.fromResult(Result.try({
      try: () => encode({ weights, metadata }, images),
      catch: (cause) => {
        if (cause instanceof NotTraceable) {
          return new NotExportable({
            problem: cause.message,
            remedy: "give the number of images (--batch 1; in code images)"
          })
        }
        throw cause
      }
    }))
  },
  (self, _, what) =>
    Effect.mapError(self, (error) => error._tag === "WeightsError" ? error : new ExportError({ what, reason: error }))
)

/** Writes an ONNX file atomically. Fails as {@link onnx} does, and with 74 if it cannot be written. */
export const write = Effect.fn("patchword.Export.write")(function*(
  file: string,
  network: Network,
  what: What,
  options?: Options
): Effect.fn.Return<void, ExportError | Weights.WeightsError, FileSystem.FileSystem | Path.Path> {
  yield* Effect.annotateCurrentSpan("file.path", file)
  const files = yield* Files.make
  const bytes = yield* onnx(network, what, options)
  yield* Effect.mapError(files.write(file, [bytes]), (reason) => new ExportError({ what, reason }))
})
