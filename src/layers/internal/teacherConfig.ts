/** What a configuration beside published weights says of their network, where the weights do not: transformers', timm's, OpenCLIP's. */
import { Effect, Option, Schema } from "effect"
import * as Json from "../../domain/Json.ts"
import * as Files from "../Files.ts"

/** What is said, and in which file. */
export interface Said {
  readonly file: string
  readonly activation?: string
  readonly heads?: number
}

const Transformer = Schema.Struct({
  hidden_act: Schema.optionalKey(Schema.String),
  num_attention_heads: Schema.optionalKey(Schema.Int)
})

/** Of timm, whose names of architectures say it. */
const Timm = Schema.Struct({ architecture: Schema.String })

const OpenClip = Schema.Struct({
  model_cfg: Schema.Struct({
    quick_gelu: Schema.optionalKey(Schema.Boolean),
    vision_cfg: Schema.Struct({ width: Schema.Int, head_width: Schema.optionalKey(Schema.Int) })
  })
})

const Clip = Schema.Union([
  Schema.Struct({ model_type: Schema.Literal("clip"), vision_config: Transformer }),
  Schema.Struct({ model_type: Schema.Literal("clip_vision_model"), ...Transformer.fields }),
  Timm
])

const Dino = Schema.Struct({
  model_type: Schema.Literals(["vit", "dinov2", "dinov2_with_registers"]),
  ...Transformer.fields
})

const HEAD = 64

const ofTransformer = (
  { hidden_act, num_attention_heads }: typeof Transformer.Type,
  usual: string
): Omit<Said, "file"> => ({
  activation: hidden_act ?? usual,
  ...(num_attention_heads === undefined ? {} : { heads: num_attention_heads })
})

const ofClip = (config: typeof Clip.Type): Omit<Said, "file"> => {
  if ("vision_config" in config) return ofTransformer(config.vision_config, "quick_gelu")
  if ("model_type" in config) return ofTransformer(config, "quick_gelu")
  const { architecture } = config
  return architecture.includes("clip") ? { activation: architecture.includes("quickgelu") ? "quick_gelu" : "gelu" } : {}
}

const ofOpenClip = ({ model_cfg: { quick_gelu = false, vision_cfg } }: typeof OpenClip.Type): Omit<Said, "file"> => ({
  activation: quick_gelu ? "quick_gelu" : "gelu",
  heads: vision_cfg.width / (vision_cfg.head_width ?? HEAD)
})

type Reader = (text: string) => Option.Option<Omit<Said, "file">>

const reader =
  <S extends Schema.Codec<any, any>>(schema: S, said: (config: S["Type"]) => Omit<Said, "file">): Reader => (text) =>
    Option.map(Schema.decodeOption(Json.text(schema))(text), said)

/** Each file that may say something, and how. Other files of these names say nothing. */
const readers: Readonly<Record<"clip" | "dino", ReadonlyArray<readonly [name: string, read: Reader]>>> = {
  clip: [["open_clip_config.json", reader(OpenClip, ofOpenClip)], ["config.json", reader(Clip, ofClip)]],
  dino: [["config.json", reader(Dino, (config) => ofTransformer(config, "gelu"))]]
}

/** What stands beside a file of weights, in the first file that says something. */
export const beside = Effect.fnUntraced(function*(network: keyof typeof readers, weights: string) {
  const { path, readText } = yield* Files.make
  for (const [name, read] of readers[network]) {
    const file = path.join(path.dirname(weights), name)
    const said = Option.flatMap(yield* Files.ifThere(readText(file)), read)
    if (Option.isSome(said)) return Option.some<Said>({ file, ...said.value })
  }
  return Option.none<Said>()
})
