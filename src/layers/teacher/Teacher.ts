/**
 * What the tokenizer learns to rebuild: features of every patch of an image.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Layer } from "effect"
 * import { KeyedRandom, Presets } from "patchword/domain"
 * import { Images, ImageSet, Teacher } from "patchword/layers"
 * import { HostTensor } from "patchword/shapes"
 *
 * const { integer } = KeyedRandom.generator({ seed: 0, purpose: "example", epoch: 0, index: 0 })
 * const noise = () => ({ width: 48, height: 48, data: Uint8Array.from({ length: 48 * 48 * 3 }, () => integer(0, 255)) })
 * const images = Images.layerMemory([ImageSet.memory("train", ["noise"], [noise(), noise()], [0, 0])])
 * const { augment } = Presets.tiny.tokenizer
 * const teacher = Teacher.layerHog({ imageSize: 48, patchSize: 8, seed: 0, augment, fitOn: 8 })
 * const program = Effect.gen(function*() {
 *   const { features } = yield* Teacher.Teacher
 *   return yield* features(HostTensor.zeros([2, 3, 48, 48], "float32"))
 * })
 * const { shape } = await Effect.runPromise(Effect.provide(program, Layer.provide(teacher, images)))
 * assert.deepStrictEqual(shape, [2, 36, 48])
 * ```
 */
import { Context, Effect, Layer, Result, Runtime, Schema, Scope } from "effect"
import * as FeatureDirections from "../../domain/method/FeatureDirections.ts"
import * as OrientedGradients from "../../domain/method/OrientedGradients.ts"
import * as PcaWhitening from "../../domain/method/PcaWhitening.ts"
import * as Normalize from "../../domain/pixels/Normalize.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as Grid from "../../domain/values/Grid.ts"
import * as KeyedRandom from "../../domain/values/KeyedRandom.ts"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import * as Clip from "../../nn/teachers/Clip.ts"
import * as Dino from "../../nn/teachers/Dino.ts"
import * as Dim from "../../shapes/Dim.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import type { HostOf, Inference } from "../../shapes/Step.ts"
import type { Tensor } from "../../shapes/Tensor.ts"
import * as Tree from "../../shapes/Tree.ts"
import { Engine, EngineError } from "../engine/Engine.ts"
import * as Files from "../files/Files.ts"
import { remember } from "../files/Remember.ts"
import * as Images from "../images/Images.ts"
import { ImagesError } from "../images/reading/ImageSet.ts"
import * as Augment from "../images/views/Augment.ts"
import * as Weights from "../weights/Weights.ts"
import * as FeatureCache from "./FeatureCache.ts"
import * as Onnx from "./OnnxFile.ts"
import * as TeacherConfig from "./TeacherConfig.ts"

export { ModelInvalid } from "./OnnxFile.ts"

/** The images have sides that the teacher does not take. Exits with 65. */
export class WrongImages extends Schema.TaggedError<WrongImages>()("WrongImages", {
  given: Schema.String,
  expected: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `images of shape ${this.given} came, but ${this.expected} is expected; change imageSize or patchSize`
  }
}

/** The measures of patches and images do not fit together. Exits with 64. */
export class WrongMeasures extends Schema.TaggedError<WrongMeasures>()("WrongMeasures", {
  patchSize: Schema.Finite,
  imageSize: Schema.Finite,
  components: Schema.Finite
}) {
  override readonly [Runtime.errorExitCode] = 64
  override get message() {
    return `patchSize is ${this.patchSize}, imageSize ${this.imageSize} and components ${this.components}, but patchSize ` +
      `has to be even, imageSize a multiple of it, and components from 1 to ${OrientedGradients.WIDTH}`
  }
}

/** The model is no teacher: its ports are not what the options say. Exits with 65. */
export class WrongModel extends Schema.TaggedError<WrongModel>()("WrongModel", {
  problem: Schema.String,
  inputs: Schema.Array(Schema.String),
  outputs: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 65
  override get message() {
    return `${this.problem}; the model takes ${this.inputs.join(", ")} and gives ${this.outputs.join(", ")}`
  }
}

/** Why a teacher gives no features. The exit code is that of the reason. */
export class TeacherError extends Schema.TaggedError<TeacherError>()("TeacherError", {
  teacher: Schema.String,
  reason: Schema.Union([
    WrongImages,
    WrongMeasures,
    WrongModel,
    Onnx.ModelInvalid,
    ImagesError,
    EngineError,
    Weights.WeightsError,
    FeatureCache.FeatureCacheError,
    FeatureDirections.NoDirection,
    Files.FileError
  ])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  override get message() {
    return `teacher ${this.teacher}: ${this.reason.message}`
  }
}

/** How the teacher of oriented gradients is made. */
export interface HogOptions {
  /** Side of the patches in pixels; even. */
  readonly patchSize: number
  /** Side of the crops that the projection is fitted on. */
  readonly imageSize: number
  /** Numbers per patch; at most 144. Default 48. */
  readonly components?: number
  /** How many augmented training images the projection is fitted on. Default 1024. */
  readonly fitOn?: number
  readonly seed: number
  readonly augment: Augment.Random
}

/** How an ONNX model is a teacher. */
export interface OnnxOptions {
  /** Its output with one row per token, `[B, N, T]`. */
  readonly output: string
  /** Its input for images `[B, 3, H, W]`; its only one when absent. */
  readonly input?: string
  /** Leading tokens that are no patches, as a class token. Default 0. */
  readonly skip?: number
  /** Side of the images that it will be shown. */
  readonly imageSize: number
  /** What it expects of its pixels. Default 0 and 1: values from 0 to 1 as they are. */
  readonly channels?: Normalize.Channels
}

/** How a published network is a teacher. */
export interface NetworkOptions {
  /**
   * Attention heads. When absent, what a configuration beside the file says, else heads of 64 channels, which DINO's and
   * OpenAI's all are.
   */
  readonly heads?: number
  /**
   * What it expects of its pixels. When absent, what a configuration beside the file says, else what the networks of its
   * kind were published with.
   */
  readonly channels?: Normalize.Channels
}

/** How an image tower of CLIP is a teacher. */
export interface ClipOptions extends NetworkOptions {
  /**
   * What its MLPs go through. When absent, what a configuration beside the file says (transformers', timm's, OpenCLIP's),
   * else `quick_gelu`, as OpenAI's towers have it; unless the file is OpenAI's own, this is logged as an assumption.
   */
  readonly activation?: Clip.Mlp
}

/** The sizes of one run of a network. */
export interface Batch {
  readonly size: number
  readonly height: number
  readonly width: number
}

/** Features `[B, N, T]` of standardised pixels `[B, 3, H, W]`, row by row. */
export type Run = (pixels: Float32Array) => Effect.Effect<Float32Array, EngineError>

/** A network that teaches, with its weights. */
export interface Network {
  readonly patch: number
  /** Numbers per patch. */
  readonly width: number
  readonly channels: Normalize.Channels
  /** A SHA-256 of its architecture and weights. */
  readonly digest: string
  /** The side of the only images that it takes; any that its patches tile when absent. */
  readonly side?: number
  /** What runs on batches of one size, for as long as the scope is open. */
  readonly open: (
    batch: Batch
  ) => Effect.Effect<Run, EngineError | Weights.WeightsError, Engine | Scope.Scope>
}

/** How many images are described at a time while fitting. */
const CHUNK = 64

/** A source of patch features. */
export class Teacher extends Context.Service<Teacher, {
  readonly name: string
  /** Numbers per patch. */
  readonly width: number
  /** A SHA-256 of everything that the features depend on. */
  readonly digest: string
  /** What computes the features, where an engine does. */
  readonly computedOn?: ComputedOn.ComputedOn
  /**
   * Features `[B, N, width]` of images `[B, 3, H, W]` with values from 0 to 1; patches row by row. Their lengths do not
   * matter to the tokenizer, which compares directions. `nameOf` is what errors call the images of the batch.
   */
  readonly features: <B extends number, H extends number, W extends number>(
    images: HostTensor.HostTensor<[B, 3, H, W], "float32">,
    nameOf?: (image: number) => string
  ) => Effect.Effect<HostTensor.HostTensor<[B, number, number], "float32">, TeacherError>
}>()("patchword/layers/Teacher") {}

/**
 * Oriented gradients with context, projected on their principal components. These are fitted when the layer is built,
 * on augmented crops of the split `train`; nothing is trained and nothing downloaded.
 */
export const layerHog = (options: HogOptions): Layer.Layer<Teacher, TeacherError, Images.Images> =>
  Layer.effect(Teacher, makeHog(options))

/**
 * Any ONNX model with an output of one row per patch. Runs on the engine in the environment, which has to take foreign
 * models. The files in which it keeps its numbers are read from its own folder, and are part of the digest. Fails with 66
 * when there is no such file, with 65 when the model's inputs and outputs are other ones.
 */
export const layerOnnx = (file: string, options: OnnxOptions): Layer.Layer<Teacher, TeacherError, Engine> =>
  Layer.effect(Teacher, makeOnnx(file, options)).pipe(Layer.provide(Files.layerNode))

/**
 * The image tower of a CLIP under the names of OpenAI, timm or Hugging Face, from weights, or a file of `Weights.read` or
 * a folder with one: safetensors, also in shards, or what OpenAI published. A text tower is left alone. The teacher of the published
 * tokenizers. Images of any size that its patches tile are shown as they are.
 *
 * Fails with 66 when there is no such file, with 65 when tensors are missing, have other shapes or are none of the
 * network's, and says what the file looks like instead; also with 65 when nothing says how many heads a tower has that is
 * larger than OpenAI's.
 */
export const layerClip = (
  weights: Weights.Weights | string,
  options: ClipOptions = {}
): Layer.Layer<Teacher, TeacherError, Engine> => layerPublished("clip", weights, options, clip)

/** Any network of which the engine runs an inference; see {@link open}. */
export const layerNetwork = (name: string, network: Network): Layer.Layer<Teacher, TeacherError, Engine> =>
  Layer.effect(Teacher, makeNetwork(name, Effect.succeed(network)))

/**
 * A vision transformer of DINO or DINOv2 under any of their names, with layer scale and registers where it has them; see
 * {@link layerClip}. Heads and the mask token are left alone.
 */
export const layerDino = (
  weights: Weights.Weights | string,
  options: NetworkOptions = {}
): Layer.Layer<Teacher, TeacherError, Engine> => layerPublished("dino", weights, options, dino)

/**
 * What another teacher said, from a folder that `cacheFeatures` filled; the other one is not needed. Of float32 these are
 * its features and its digest; float16 has a digest of its own.
 *
 * Fails with 66 when the folder holds no cache, with 65 when that is damaged; `features` with 66 for images that it does
 * not hold.
 */
export const layerCached = (
  directory: string,
  options: FeatureCache.OpenOptions = {}
): Layer.Layer<Teacher, TeacherError> =>
  Layer.effect(Teacher, makeCached(directory, options)).pipe(Layer.provide(Files.layerNode))

/**
 * Sizes of axes of tensors. Fails with all tensors that are missing or of another rank, and with those that the network
 * does not have: they may say why.
 */
const sizesOf = <K extends string>(
  { tensors }: Weights.Weights,
  source: string,
  spec: object,
  axes: Readonly<Record<K, readonly [name: string, axis: number, rank: number]>>
): Effect.Effect<Readonly<Record<K, number>>, Weights.WeightsError> => {
  const asked = Object.entries<readonly [string, number, number]>(axes)
    .map(([key, [name, axis, rank]]) => ({ key, name, axis, rank, shape: tensors[name]?.shape as Shape | undefined }))
  const wrong = asked.filter(({ rank, shape }) => shape?.length !== rank)
    .map(({ name, rank, shape }) => ({ name, expected: `${rank} axes`, shape }))
  const known = new Set(Tree.leaves(spec).map(([path]) => path))
  const mismatch = new Weights.Mismatch({
    missing: wrong.filter(({ shape }) => shape === undefined).map(({ expected, name }) => ({ name, expected })),
    unexpected: Object.entries(tensors).filter(([name]) => !known.has(name))
      .map(([name, { shape }]) => ({ name, given: ShapeError.show(shape) })),
    misshaped: wrong.flatMap(({ expected, name, shape }) =>
      shape === undefined ? [] : [{ name, expected, given: ShapeError.show(shape) }]
    )
  })
  return wrong.length > 0
    ? Effect.fail(new Weights.WeightsError({ source, reason: mismatch }))
    : Effect.succeed(
      Object.fromEntries(asked.map(({ axis, key, shape }) => [key, shape![axis]!])) as Readonly<Record<K, number>>
    )
}

/** How many blocks there are, by the highest number in their names; no more than tensors, whatever the names say. */
const depthOf = ({ tensors }: Weights.Weights, prefix: string): number => {
  const names = Object.keys(tensors)
  const numbers = names.filter((name) => name.startsWith(prefix))
    .map((name) => Number.parseInt(name.slice(prefix.length), 10) + 1)
  return Math.min(numbers.reduce((depth, number) => Math.max(depth, number || 0), 0), names.length)
}

/** Channels of a head. */
const HEAD = 64

/** The widest tower of CLIP whose heads are sure to have 64 channels: others have 80, 88 or 104. */
const WIDEST = 1024

/** The heads of a network: as many as are said, else of the usual channels where no other of its width has others. */
const headsOf = (width: number, widest: number, said: number | undefined) =>
  said !== undefined || (width <= widest && width % HEAD === 0)
    ? Effect.succeed(said ?? width / HEAD)
    : Effect.fail(
      new Onnx.ModelInvalid({
        problem: `nothing says how many heads a network of ${width} channels has; say it by heads (--teacher-heads)`
      })
    )

/** What shapes alone do not say: that the heads divide the width, and that the positions are those of a square. */
const measured = (
  source: string,
  positions: string,
  { tokens, width }: { readonly tokens: number; readonly width: number },
  heads: number
) => {
  const side = Math.sqrt(tokens - 1)
  if (Number.isInteger(side) && side > 0 && Number.isInteger(heads) && heads > 0 && width % heads === 0) {
    return Effect.succeed({ grid: Grid.square(side), heads: Dim.named("heads", heads) })
  }
  const misshaped = {
    name: positions,
    expected: `one row more than a square number, and a width that ${heads} heads divide`,
    given: ShapeError.show([tokens, width])
  }
  return Effect.fail(
    new Weights.WeightsError({
      source,
      reason: new Weights.Mismatch({ missing: [], unexpected: [], misshaped: [misshaped] })
    })
  )
}

/** The tensors of a network in its shapes, and a digest of them and of what else changes its features. */
const fitted = <T extends object>(
  spec: T,
  weights: Weights.Weights,
  source: string,
  ...more: ReadonlyArray<string | number>
) =>
  Effect.fromResult(Result.map(Weights.conform(spec, weights, source), (parameters) => ({
    parameters,
    digest: Files.sha256([Files.sha256(Safetensors.encode(weights.tensors)), ...more].join(" "))
  })))

/** Sizes that say how many tensors there are, and nothing of their shapes. */
const HOLLOW = { patch: 1, width: 1, hidden: 1, heads: 1, out: 1, tokens: 2, grid: Grid.square(1) } as const

const named = (batch: Batch) =>
  ({
    size: Dim.named("images", batch.size),
    height: Dim.named("height", batch.height),
    width: Dim.named("width", batch.width)
  }) as const

// What is usual is not in the digest, so that it stays the one of files about which nothing is said.
const unlike = <A>(value: A, usual: A): ReadonlyArray<string> => {
  const text = JSON.stringify(value)
  return text === JSON.stringify(usual) ? [] : [text]
}

// Tensors that only OpenAI's own files have.
const OPENAI = ["input_resolution", "context_length", "vocab_size"]

/** What the options say, else a configuration beside the file, which is logged where it is not what is usual. */
const chosen = Effect.fnUntraced(function*<A>(
  name: "clip" | "dino",
  what: string,
  asked: A | undefined,
  told: TeacherConfig.Told<A> | undefined,
  usual: A
) {
  if (asked !== undefined || told === undefined) return asked ?? usual
  if (JSON.stringify(told.value) !== JSON.stringify(usual)) {
    yield* Effect.logInfo(`teacher ${name}: ${what} ${JSON.stringify(told.value)}, as ${told.file} says`)
  }
  return told.value
})

const computable = <A extends string>(told: TeacherConfig.Told<string> | undefined, ...known: ReadonlyArray<A>) => {
  if (told === undefined) return Effect.undefined
  const value = known.find((one) => one === told.value)
  const problem = `${told.file} says hidden_act "${told.value}", but ${known.join(" and ")} is what is computed`
  return value === undefined
    ? Effect.fail(new Onnx.ModelInvalid({ problem }))
    : Effect.succeed({ file: told.file, value })
}

const clip = Effect.fnUntraced(function*(
  weights: Weights.Weights,
  { said, source, tensors }: Origin,
  options: ClipOptions
) {
  const told = yield* computable(TeacherConfig.told(said, "activation"), "quick_gelu", "gelu")
  if (options.activation === undefined && told === undefined && !OPENAI.every((name) => Object.hasOwn(tensors, name))) {
    yield* Effect.logWarning(
      "teacher clip: neither the weights nor a configuration beside them say which activation they were trained with; " +
        "quick_gelu is taken, which OpenAI's have. Most of OpenCLIP's have gelu: say so by activation (--teacher-activation)"
    )
  }
  const activation = yield* chosen<Clip.Mlp>("clip", "activation", options.activation, told, "quick_gelu")
  const channels = yield* chosen(
    "clip",
    "channels",
    options.channels,
    TeacherConfig.told(said, "channels"),
    Clip.CHANNELS
  )
  const epsilon = yield* chosen("clip", "layer_norm_eps", undefined, TeacherConfig.told(said, "epsilon"), Clip.EPSILON)
  const positions = "visual.positional_embedding"
  const blocks = "visual.transformer.resblocks."
  const depth = depthOf(weights, blocks)
  const found = yield* sizesOf(weights, source, Clip.spec({ ...HOLLOW, depth }), {
    width: ["visual.class_embedding", 0, 1],
    patch: ["visual.conv1.weight", 2, 4],
    tokens: [positions, 0, 2],
    out: ["visual.proj", 1, 2],
    hidden: [`${blocks}0.mlp.c_fc.weight`, 0, 2]
  })
  const heads = yield* headsOf(found.width, WIDEST, options.heads ?? TeacherConfig.told(said, "heads")?.value)
  const sizes = {
    ...(yield* measured(source, positions, found, heads)),
    activation,
    epsilon,
    patch: Dim.named("patch", found.patch),
    width: Dim.named("width", found.width),
    hidden: Dim.named("hidden", found.hidden),
    tokens: Dim.named("positions", found.tokens),
    out: Dim.named("out", found.out),
    depth
  }
  const { digest, parameters } = yield* fitted(
    Clip.spec(sizes),
    weights,
    source,
    sizes.heads,
    ...unlike(activation, "quick_gelu"),
    ...unlike(epsilon, Clip.EPSILON),
    ...unlike(channels, Clip.CHANNELS)
  )
  const network: Network = {
    patch: found.patch,
    width: found.out,
    channels,
    digest,
    open: (batch) => open(Clip.features(sizes, named(batch)), parameters, ({ target }) => target.data)
  }
  return network
})

/**
 * DINO as timm has it with registers: under another name, and without a position of the class token, which is part of that
 * token.
 */
const withRegisters = (given: Weights.Weights): Weights.Weights => {
  const { tensors } = given
  const table = tensors["pos_embed"]
  if (!Object.hasOwn(tensors, "reg_token") || table?.shape.length !== 3) return given
  const [one = 0, tokens = 0, width = 0] = table.shape
  const data = new Float32Array(table.data.length + width)
  data.set(table.data, width)
  const weights = Weights.make({ ...tensors, pos_embed: { dtype: "float32", shape: [one, tokens + 1, width], data } })
  return Weights.rename(weights, (name) => name === "reg_token" ? "register_tokens" : name)
}

const dino = Effect.fnUntraced(function*(given: Weights.Weights, { said, source }: Origin, options: NetworkOptions) {
  yield* computable(TeacherConfig.told(said, "activation"), "gelu")
  const channels = yield* chosen(
    "dino",
    "channels",
    options.channels,
    TeacherConfig.told(said, "channels"),
    Dino.CHANNELS
  )
  const epsilon = yield* chosen("dino", "layer_norm_eps", undefined, TeacherConfig.told(said, "epsilon"), Dino.EPSILON)
  const weights = withRegisters(given)
  const own = {
    depth: depthOf(weights, "blocks."),
    layerScale: Object.keys(weights.tensors).some((name) => /^blocks\.\d+\.ls[12]\.gamma$/.test(name)),
    registers: weights.tensors["register_tokens"]?.shape[1] ?? 0
  }
  const found = yield* sizesOf(weights, source, Dino.spec({ ...HOLLOW, ...own }), {
    width: ["cls_token", 2, 3],
    patch: ["patch_embed.proj.weight", 2, 4],
    tokens: ["pos_embed", 1, 3],
    hidden: ["blocks.0.mlp.fc1.weight", 0, 2]
  })
  const heads = yield* headsOf(found.width, Infinity, options.heads ?? TeacherConfig.told(said, "heads")?.value)
  const sizes = {
    ...(yield* measured(source, "pos_embed", found, heads)),
    patch: Dim.named("patch", found.patch),
    width: Dim.named("width", found.width),
    hidden: Dim.named("hidden", found.hidden),
    tokens: Dim.named("positions", found.tokens),
    epsilon,
    ...own
  }
  const { digest, parameters } = yield* fitted(
    Dino.spec(sizes),
    weights,
    source,
    sizes.heads,
    ...unlike(epsilon, Dino.EPSILON),
    ...unlike(channels, Dino.CHANNELS)
  )
  const network: Network = {
    patch: found.patch,
    width: found.width,
    channels,
    digest,
    open: (batch) => open(Dino.features(sizes, named(batch)), parameters, ({ target }) => target.data)
  }
  return network
})

/** What runs an inference of images on the engine; `features` are the ones among its outputs. */
export const open = Effect.fnUntraced(function*<W, I extends [number, number, number, number], O>(
  inference: Inference<W, { readonly images: Tensor<I> }, O>,
  weights: HostOf<W>,
  features: (outputs: HostOf<O>) => Float32Array
) {
  const handle = yield* (yield* Engine).infer(inference, weights)
  const { shape } = inference.batch.images
  const run: Run = (pixels) => Effect.map(handle.run({ images: HostTensor.make(shape, "float32", pixels) }), features)
  return run
})

/** Where published weights come from. */
interface Origin {
  readonly source: string
  /** The tensors as the file has them. */
  readonly tensors: Weights.Tensors
  /** What configurations beside the file say. */
  readonly said: Effect.Success<ReturnType<typeof TeacherConfig.beside>>
}

const layerPublished = <O>(
  name: "clip" | "dino",
  given: Weights.Weights | string,
  options: O,
  published: (
    weights: Weights.Weights,
    origin: Origin,
    options: O
  ) => Effect.Effect<Network, Weights.WeightsError | Onnx.ModelInvalid>
): Layer.Layer<Teacher, TeacherError, Engine> => {
  const network = Effect.gen(function*() {
    const file = typeof given === "string" ? yield* TeacherConfig.fileOf(given) : undefined
    const source = file ?? name
    const weights = typeof given === "string" ? yield* Weights.read(source) : given
    const said = file === undefined ? [] : yield* TeacherConfig.beside(name, file)
    const { tensors } = weights
    const origin: Origin = { source, tensors, said }
    return yield* Weights.official(weights, name, { source }).pipe(
      Effect.flatMap((official) => published(official, origin, options)),
      Effect.catchTag("WeightsError", (error) => Weights.describing(tensors)(Effect.fail(error)))
    )
  })
  return Layer.effect(Teacher, makeNetwork(name, network)).pipe(Layer.provide(Files.layerNode))
}

const makeNetwork = Effect.fn("Teacher.layerNetwork")(
  function*<R>(name: string, made: Effect.Effect<Network, TeacherError["reason"], R>) {
    const network = yield* made
    const { channels, patch, side, width: channel } = network
    const scope = yield* Scope.Scope
    const engine = yield* Engine

    // Programs have fixed shapes and hold the weights, so there is one for each size of images: for batches as large as
    // the first of that size. Others are shown to it part by part, the last part filled up with nothing.
    const sizes = new Map<string, number>()
    const opened = yield* remember((key) => {
      const [height, width] = key.split("x").map(Number) as [number, number]
      return network.open({ size: sizes.get(key)!, height, width }).pipe(
        Scope.provide(scope),
        Effect.provideService(Engine, engine)
      )
    })

    const features = Effect.fnUntraced(
      function*<B extends number, H extends number, W extends number>(
        images: HostTensor.HostTensor<[B, 3, H, W], "float32">
      ) {
        const [batch, , height, width] = images.shape
        const sides = side === undefined
          ? `H, W] with sides that are multiples of ${patch}`
          : `${side}, ${side}]`
        if (side === undefined ? height % patch !== 0 || width % patch !== 0 : height !== side || width !== side) {
          return yield* new WrongImages({ given: ShapeError.show(images.shape), expected: `[B, 3, ${sides}` })
        }
        const key = `${height}x${width}`
        const size = sizes.get(key) ?? batch
        sizes.set(key, size)
        const run = yield* opened(key)
        const tokens = (height / patch) * (width / patch)
        const pixels = Normalize.standardise(images.data, height * width, channels)
        const data = yield* inParts(pixels, batch, size, run)
        return HostTensor.make([batch, tokens, channel], "float32", data)
      },
      wrapped(name)
    )
    return Teacher.of({
      name,
      width: channel,
      digest: network.digest,
      computedOn: ComputedOn.of(engine.about),
      features
    })
  },
  (self, name) => wrapped(name)(self)
)

/** The results, one after another, of images shown `size` at a time. The last part is filled up with zeros. */
const inParts = Effect.fnUntraced(function*<E>(
  pixels: Float32Array,
  batch: number,
  size: number,
  run: (pixels: Float32Array) => Effect.Effect<Float32Array, E>
) {
  const image = pixels.length / batch
  const starts = Array.from({ length: Math.ceil(batch / size) }, (_, i) => i * size)
  const parts = yield* Effect.forEach(starts, (start) => {
    const part = new Float32Array(size * image)
    part.set(pixels.subarray(start * image, (start + size) * image))
    return run(part)
  })
  const row = (parts[0]?.length ?? 0) / size
  const all = new Float32Array(batch * row)
  parts.forEach((part, i) => all.set(part.subarray(0, (batch - i * size) * row), i * size * row))
  return all
})

const PLAIN: Normalize.Channels = { mean: [0, 0, 0], std: [1, 1, 1] }

const makeOnnx = Effect.fn("Teacher.layerOnnx")(
  function*(file: string, { channels = PLAIN, imageSize, input, output, skip = 0 }: OnnxOptions) {
    const engine = yield* Engine
    const { bytes, digest, files } = yield* Onnx.read(file)
    const model = yield* engine.load(file, bytes, files)
    const ports = { inputs: model.inputs.map(({ name }) => name), outputs: model.outputs.map(({ name }) => name) }
    const wrong = (problem: string) => new WrongModel({ problem, ...ports })
    const [only] = ports.inputs
    const port = input ?? only
    if (port === undefined || !ports.inputs.includes(port) || (input === undefined && ports.inputs.length > 1)) {
      return yield* wrong(`there is no single input ${input ?? ""}`)
    }
    if (!ports.outputs.includes(output)) return yield* wrong(`there is no output ${output}`)

    // A model made for one batch size is shown its batches one after another, the last one filled up with nothing.
    const fixed = model.inputs.find(({ name }) => name === port)?.shape[0] ?? -1

    const once = Effect.fnUntraced(function*(pixels: Float32Array, shape: [number, 3, number, number]) {
      const found = (yield* model.run({ [port]: HostTensor.make(shape, "float32", pixels) }))[output]
      const [rows, tokens, width, ...more] = found?.shape ?? []
      const data = found?.data
      if (data !== undefined && !(data instanceof Float32Array)) {
        return yield* wrong(`${output} is of the type ${found?.dtype}, but numbers of 16, 32 or 64 bits are expected`)
      }
      const fits = rows === shape[0] && tokens !== undefined && tokens > skip && width !== undefined &&
        more.length === 0
      if (data === undefined || !fits) {
        return yield* wrong(
          `${output} is ${ShapeError.show(found?.shape ?? [])}, but [${shape[0]}, more than ${skip}, T] is expected`
        )
      }
      return { data, tokens, width }
    })

    const patchesOf = (
      found: { readonly data: Float32Array; readonly tokens: number; readonly width: number },
      size: number
    ) => {
      const row = (found.tokens - skip) * found.width
      const patches = new Float32Array(size * row)
      for (let i = 0; i < size; i++) {
        const from = (i * found.tokens + skip) * found.width
        patches.set(found.data.subarray(from, from + row), i * row)
      }
      return patches
    }

    const features = Effect.fnUntraced(
      function*<B extends number, H extends number, W extends number>(
        images: HostTensor.HostTensor<[B, 3, H, W], "float32">
      ) {
        const [batch, , height, width] = images.shape
        const pixels = Normalize.standardise(images.data, height * width, channels)
        const size = fixed > 0 ? fixed : batch
        let [tokens, channel] = [0, 0]
        const kept = yield* inParts(
          pixels,
          batch,
          size,
          (part) =>
            Effect.map(once(part, [size, 3, height, width]), (found) => {
              tokens = found.tokens - skip
              channel = found.width
              return patchesOf(found, size)
            })
        )
        return HostTensor.make([batch, tokens, channel], "float32", kept)
      },
      wrapped(file)
    )
    // The width stands in no header that can be trusted: models with free axes leave it open.
    const tried = yield* features(HostTensor.zeros([1, 3, imageSize, imageSize], "float32"))
    return Teacher.of({
      name: file,
      width: tried.shape[2],
      digest: Files.sha256(`${digest} ${output} ${skip} ${[...channels.mean, ...channels.std].join(" ")}`),
      computedOn: ComputedOn.of(engine.about),
      features
    })
  },
  (self, file) => wrapped(file)(self)
)

const makeHog = Effect.fn("Teacher.layerHog")(function*(options: HogOptions) {
  const { augment, components = 48, fitOn = 1024, imageSize, patchSize, seed } = options
  if (
    patchSize % 2 !== 0 || imageSize % patchSize !== 0 || !(components >= 1 && components <= OrientedGradients.WIDTH)
  ) {
    return yield* new WrongMeasures({ patchSize, imageSize, components })
  }
  const { load } = yield* Images.Images
  const train = yield* load("train")
  const order = KeyedRandom.permutation({ seed, purpose: "teacher/order", epoch: 0, index: 0 }, train.length)

  const view = (turn: number) => {
    const index = order[turn % train.length]!
    const key = { seed, purpose: "teacher/view", epoch: Math.floor(turn / train.length), index }
    return Effect.map(train.image(index), (picture) => Augment.view(picture, imageSize, augment, key))
  }
  const patches = (imageSize / patchSize) ** 2
  const described = new Float32Array(fitOn * patches * OrientedGradients.WIDTH)
  for (let start = 0; start < fitOn; start += CHUNK) {
    const turns = Array.from({ length: Math.min(CHUNK, fitOn - start) }, (_, i) => start + i)
    const views = yield* Effect.forEach(turns, view, { concurrency: 8 })
    const measures = { height: imageSize, width: imageSize, patchSize }
    described.set(
      OrientedGradients.describe(Normalize.unit(views), measures),
      start * patches * OrientedGradients.WIDTH
    )
  }
  const whitening = PcaWhitening.fit(described, OrientedGradients.WIDTH, components)

  return Teacher.of({
    name: "hog",
    width: components,
    digest: Files.sha256(
      Buffer.concat([Buffer.from(`hog ${patchSize}\n`), bytesOf(whitening.axes), bytesOf(whitening.origin)])
    ),
    features: (images) =>
      Effect.suspend(() => {
        const [batch, , height, width] = images.shape
        if (height % patchSize !== 0 || width % patchSize !== 0) {
          return Effect.fail(
            new WrongImages({
              given: ShapeError.show(images.shape),
              expected: `[B, 3, H, W] with sides that are multiples of ${patchSize}`
            })
          )
        }
        const count = (height / patchSize) * (width / patchSize)
        const rows = OrientedGradients.describe(images.data, { height, width, patchSize })
        return Effect.succeed(
          HostTensor.make([batch, count, components], "float32", PcaWhitening.apply(whitening, rows))
        )
      }).pipe(wrap)
  })
}, (self) => wrap(self))

const makeCached = Effect.fn("Teacher.layerCached")(
  function*(directory: string, options: FeatureCache.OpenOptions) {
    const { about, read } = yield* FeatureCache.reader(directory, options)
    const { digest, dtype, image, teacher: name, tokens, width } = about
    return Teacher.of({
      name,
      width,
      digest: dtype === "float32" ? digest : Files.sha256(`${digest} ${dtype}`),
      features: Effect.fnUntraced(function*(images, nameOf) {
        const [batch, , ...sides] = images.shape
        if (sides[0] !== image[0] || sides[1] !== image[1]) {
          return yield* new WrongImages({
            given: ShapeError.show(images.shape),
            expected: `[B, 3, ${image[0]}, ${image[1]}], as the cache holds,`
          })
        }
        return HostTensor.make([batch, tokens, width], "float32", yield* read(FeatureCache.keys(images), nameOf))
      }, wrapped(name))
    })
  },
  (self, directory) => wrapped(`from ${directory}`)(self)
)

const bytesOf = ({ buffer, byteLength, byteOffset }: Float32Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength)

const wrapped = (teacher: string) =>
  Effect.mapError((reason: TeacherError["reason"] | TeacherError) =>
    reason instanceof TeacherError ? reason : new TeacherError({ teacher, reason })
  )

const wrap = wrapped("hog")
