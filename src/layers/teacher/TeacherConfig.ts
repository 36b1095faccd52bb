/**
 * Settings of a network that are in configurations next to its weights, not in the weights. The configurations are those of
 * transformers, timm and OpenCLIP.
 */
import { Effect, Option, Schema } from "effect"
import type * as Normalize from "../../domain/pixels/Normalize.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Quantity from "../../domain/values/Quantity.ts"
import * as Files from "../files/Files.ts"
import { ModelInvalid } from "./TeacherError.ts"

/** Settings that a configuration can contain. */
export interface Said {
  readonly activation?: string
  readonly heads?: number
  /** Number that layer norms add to the variance. */
  readonly epsilon?: number
  readonly channels?: Normalize.Channels
}

/** A setting, and the file that contains it. */
export interface Told<A> {
  readonly value: A
  readonly file: string
}

const Transformer = Schema.Struct({
  hidden_act: Schema.optionalKey(Schema.String),
  num_attention_heads: Schema.optionalKey(Quantity.Count),
  layer_norm_eps: Schema.optionalKey(Quantity.Positive)
})

const Processor = Schema.Struct({ image_mean: Quantity.Channels, image_std: Quantity.Channels })

const Standard = Schema.Struct({ mean: Quantity.Channels, std: Quantity.Channels })

/** A configuration of timm. The names of its architectures imply further settings. */
const Timm = Schema.Struct({ architecture: Schema.String, pretrained_cfg: Schema.optionalKey(Standard) })

const OpenClip = Schema.Struct({
  model_cfg: Schema.Struct({
    quick_gelu: Schema.optionalKey(Schema.Boolean),
    vision_cfg: Schema.Struct({ width: Quantity.Count, head_width: Schema.optionalKey(Quantity.Count) })
  }),
  preprocess_cfg: Schema.optionalKey(Standard)
})

const Clip = Schema.Union([
  Schema.Struct({ model_type: Schema.Literal("clip"), vision_config: Transformer }),
  Schema.Struct({ model_type: Schema.Literal("clip_vision_model"), ...Transformer.fields }),
  Timm
])

const Dino = Schema.Union([
  Schema.Struct({
    model_type: Schema.Literals(["vit", "dinov2", "dinov2_with_registers"]),
    ...Transformer.fields
  }),
  Timm
])

const HEAD = 64

const given = <K extends keyof Said>(key: K, value: Said[K] | undefined): Said =>
  value === undefined ? {} : { [key]: value }

/** Default settings of transformers, for settings that a configuration lacks. */
interface Usual {
  readonly activation: string
  readonly epsilon: number
}

const USUAL = {
  clip: { activation: "quick_gelu", epsilon: 1e-5 },
  vit: { activation: "gelu", epsilon: 1e-12 },
  dinov2: { activation: "gelu", epsilon: 1e-6 },
  dinov2_with_registers: { activation: "gelu", epsilon: 1e-6 }
} as const

const ofTransformer = (
  { hidden_act, layer_norm_eps, num_attention_heads }: typeof Transformer.Type,
  { activation, epsilon }: Usual
): Said => ({
  activation: hidden_act ?? activation,
  epsilon: layer_norm_eps ?? epsilon,
  ...given("heads", num_attention_heads)
})

const ofClip = (config: typeof Clip.Type): Said => {
  if ("vision_config" in config) return ofTransformer(config.vision_config, USUAL.clip)
  if ("model_type" in config) return ofTransformer(config, USUAL.clip)
  const { architecture, pretrained_cfg } = config
  const activation = architecture.includes("quickgelu") ? "quick_gelu" : "gelu"
  return architecture.includes("clip") ? { activation, ...given("channels", pretrained_cfg) } : {}
}

const ofDino = (config: typeof Dino.Type): Said =>
  "model_type" in config ? ofTransformer(config, USUAL[config.model_type]) : given("channels", config.pretrained_cfg)

const ofOpenClip = ({ model_cfg, preprocess_cfg }: typeof OpenClip.Type): Said => ({
  activation: model_cfg.quick_gelu === true ? "quick_gelu" : "gelu",
  heads: model_cfg.vision_cfg.width / (model_cfg.vision_cfg.head_width ?? HEAD),
  ...given("channels", preprocess_cfg)
})

const ofProcessor = ({ image_mean, image_std }: typeof Processor.Type): Said => ({
  channels: { mean: image_mean, std: image_std }
})

type Reader = (text: string) => Option.Option<Said>

const reader = <S extends Schema.Codec<any, any>>(schema: S, said: (config: S["Type"]) => Said): Reader => (text) =>
  Option.map(Schema.decodeOption(Json.text(schema))(text), said)

type Named = readonly [name: string, read: Reader]

const processor: Named = ["preprocessor_config.json", reader(Processor, ofProcessor)]

/** The files of configurations and their readers. A file of such a name with other content is ignored. */
const readers: Readonly<Record<"clip" | "dino", ReadonlyArray<Named>>> = {
  clip: [
    ["open_clip_config.json", reader(OpenClip, ofOpenClip)],
    ["config.json", reader(Clip, ofClip)],
    processor
  ],
  dino: [["config.json", reader(Dino, ofDino)], processor]
}

/** Names of weights in published folders. */
const WEIGHTS = [
  "model.safetensors",
  "model.safetensors.index.json",
  "open_clip_model.safetensors",
  "pytorch_model.bin",
  "open_clip_pytorch_model.bin"
]

/** Returns the file of a path: the path itself, or the file of weights in a folder. */
export const fileOf = Effect.fnUntraced(function*(given: string) {
  const { fs, path } = yield* Files.make
  const info = yield* Effect.option(fs.stat(given))
  if (!Option.exists(info, ({ type }) => type === "Directory")) return given
  const names = yield* Files.onFailure(given)(fs.readDirectory(given))
  const found = WEIGHTS.find((name) => names.includes(name))
  const problem = `${given} is a folder without weights (${WEIGHTS.join(", ")})`
  return found === undefined ? yield* new ModelInvalid({ problem, remedy: "name the file" }) : path.join(given, found)
})

/** Reads the configurations next to a file of weights. */
export const beside = Effect.fnUntraced(function*(network: keyof typeof readers, weights: string) {
  const { path, readText } = yield* Files.make
  const all = yield* Effect.forEach(readers[network], ([name, read]) => {
    const file = path.join(path.dirname(weights), name)
    return Effect.map(
      Files.ifThere(readText(file)),
      (text) => Option.toArray(Option.map(Option.flatMap(text, read), (said) => ({ file, said })))
    )
  })
  return all.flat()
})

/** Returns a setting from the first file that contains it. */
export const told = <K extends keyof Said>(
  all: Effect.Success<ReturnType<typeof beside>>,
  key: K
): Told<NonNullable<Said[K]>> | undefined => {
  const found = all.find(({ said }) => said[key] !== undefined)
  return found && { file: found.file, value: found.said[key]! }
}
