/**
 * Networks as folders in the layout of the Hugging Face Hub: `config.json`, `preprocessor_config.json`, `model.safetensors` and
 * a model card. transformers opens the classifiers and backbones (`BeitForImageClassification`, `BeitForMaskedImageModeling`).
 * Folders of BEiT from transformers are read as well.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Files } from "patchword/layers"
 * import { ModelFolder } from "patchword/pipelines"
 *
 * const read = ModelFolder.read("models/none").pipe(Effect.provide(Files.layerNode))
 * assert.match((await Effect.runPromise(Effect.flip(read))).message, /models\/none\/config.json: there is no such file/)
 * ```
 */
import { Effect, type FileSystem, Option, type Path, Record, Runtime, Schema } from "effect"
import { AugmentConfig } from "../../domain/config/AugmentConfig.ts"
import * as Config from "../../domain/config/Config.ts"
import { FinetuneConfig } from "../../domain/config/FinetuneConfig.ts"
import * as Model from "../../domain/config/Model.ts"
import { base } from "../../domain/config/presets/Presets.ts"
import { PretrainConfig } from "../../domain/config/PretrainConfig.ts"
import type { VitConfig } from "../../domain/config/VitConfig.ts"
import * as BeitConfig from "../../domain/huggingface/BeitConfig.ts"
import * as ForeignConfig from "../../domain/huggingface/ForeignConfig.ts"
import * as ImageProcessor from "../../domain/huggingface/ImageProcessor.ts"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import { version } from "../../domain/values/Version.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as Network from "../trained/Network.ts"
import { OtherQuantizer, type Tokenizer } from "../trained/Tokenizer.ts"

/** The folder does not describe a known network. */
export class OtherModel extends TaggedError<OtherModel>()("OtherModel", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return this.problem
  }
  get remedy() {
    return `use a network of patchword, or ${BeitConfig.Architecture.literals.join(" or ")} of transformers`
  }
}

/** A folder cannot be read or written. `reason` has the cause, and its exit code. */
export class ModelFolderError extends TaggedError<ModelFolderError>()("ModelFolderError", {
  folder: Schema.String,
  reason: Schema.Union([
    OtherModel,
    Config.ConfigError,
    ForeignConfig.ForeignError,
    Files.FileError,
    OtherQuantizer
  ])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    return this.reason._tag === "OtherModel" ? `${this.folder}: ${this.reason.finding}` : this.reason.finding
  }
  get remedy() {
    return this.reason.remedy
  }
}

/** The content of the model card in addition to the provenance. */
export interface Card {
  readonly name: string
  /** The licence, as an identifier of the Hub: `mit`. */
  readonly licence?: string
  readonly provenance?: Weights.Provenance
}

const numbered = (classes: ReadonlyArray<string>) => ({
  id2label: Object.fromEntries(classes.map((name, index) => [index, name])),
  label2id: Object.fromEntries(classes.map((name, index) => [name, index]))
})

interface Layout {
  readonly config: object
  readonly preprocessor: object
  readonly names: Weights.Names
  readonly title: string
}

const layoutOf = (network: Network.Network): Layout => {
  switch (network._tag) {
    case "Tokenizer": {
      const { augment, encoder } = network.config
      return {
        config: { model_type: "patchword-tokenizer" },
        preprocessor: ImageProcessor.write({ ...augment, mean: [0, 0, 0], std: [1, 1, 1] }, encoder.imageSize),
        names: { naming: "official", network: "tokenizer" },
        title: `visual tokenizer (VQ-KD), ${network.config.codebook.size} codes`
      }
    }
    case "Backbone": {
      const { augment, vit } = network.config
      return {
        config: {
          architectures: ["BeitForMaskedImageModeling"],
          ...BeitConfig.write(vit),
          // Its norm follows the transformer; transformers would add one of its own for the class token.
          use_mean_pooling: true,
          use_mask_token: true,
          vocab_size: network.codes
        },
        preprocessor: ImageProcessor.write(augment, vit.imageSize),
        names: { naming: "huggingface", network: "pretrained" },
        title: "vision transformer pretrained by masked image modelling (BEiT v2)"
      }
    }
    case "Classifier": {
      const { augment, vit } = network.config
      return {
        config: {
          architectures: ["BeitForImageClassification"],
          ...BeitConfig.write(vit),
          ...numbered(network.classes)
        },
        preprocessor: ImageProcessor.write(augment, vit.imageSize),
        names: { naming: "huggingface", network: "classifier" },
        title: `image classifier, ${network.classes.length} classes`
      }
    }
  }
}

const pretty = (value: object): string => `${JSON.stringify(value, undefined, 2)}\n`

const cardOf = ({ licence, name, provenance }: Card, { title }: Layout, network: Network.Network): string => {
  const lines = Object.entries(provenance ?? {}).filter(([key]) => key !== "model")
  return [
    "---",
    "library_name: patchword",
    "pipeline_tag: image-feature-extraction",
    ...(licence === undefined ? [] : [`license: ${licence}`]),
    "tags: [beit, vision]",
    "---",
    "",
    `# ${name}`,
    "",
    `A ${title}, ${Object.keys(network.tensors).length} tensors, written by patchword ${version}.`,
    ...(network._tag === "Backbone"
      ? ["The head of patch aggregation is left out. Only pretraining uses it.", ""]
      : [""]),
    "| made by | |",
    "| --- | --- |",
    ...lines.map(([key, value]) => `| ${key} | ${String(value)} |`),
    "",
    "The whole configuration is in `config.json`, under `patchword`.",
    ""
  ].join("\n")
}

// Without its aggregation head, a backbone is one that predicts from its last block alone.
const kept = (network: Network.Network): Model.Model => {
  const { tensors: _, ...model } = network
  if (model._tag !== "Backbone") return model
  return { ...model, config: new PretrainConfig({ ...model.config, aggregation: null }) }
}

const OWN = "patchword"

const Fields = Schema.Record(Schema.String, Schema.Json)

const Own = Schema.Struct({ model: Model.Model, provenance: Schema.optionalKey(Weights.Provenance) })

/** Returns the masks for a grid of any size: those of the preset `base`, as shares of the patches. */
const maskOf = ({ patches }: VitConfig) => {
  const { mask, vit } = base.pretrain
  const shareOf = (count: number) => Math.max(1, Math.floor(count * patches / vit.patches))
  return { ...mask, count: shareOf(mask.count), minBlock: shareOf(mask.minBlock) }
}

/** Returns the network of a folder of transformers. Settings of training are those of the preset `base`. */
const published = (
  { architecture, classes, codes, vit }: BeitConfig.Described,
  evaluation: ImageProcessor.Evaluation
): Model.Model => {
  const augment = (own: AugmentConfig) => new AugmentConfig({ ...own, ...evaluation })
  const { finetune, pretrain } = base
  return architecture === "BeitForImageClassification"
    ? Model.Classifier.make({
      config: new FinetuneConfig({ ...finetune, vit, augment: augment(finetune.augment) }),
      classes
    })
    : Model.Backbone.make({
      config: new PretrainConfig({
        ...pretrain,
        vit,
        mask: maskOf(vit),
        aggregation: null,
        augment: augment(pretrain.augment)
      }),
      codes
    })
}

const within = (folder: string) =>
  Effect.mapError((error: ModelFolderError["reason"] | Weights.WeightsError) =>
    error._tag === "WeightsError" ? error : new ModelFolderError({ folder, reason: error })
  )

/** Writes a network as a folder, completely or not at all. An existing folder is replaced. Fails with 74. */
export const write = Effect.fn("patchword.ModelFolder.write")(
  function*(folder: string, network: Network.Network, card: Card) {
    const files = yield* Files.make
    const platform = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
    const layout = layoutOf(network)
    const own = Schema.encodeSync(Own)({
      model: kept(network),
      ...(card.provenance === undefined ? {} : { provenance: card.provenance })
    })
    const texts = {
      "config.json": pretty({ ...layout.config, [OWN]: own }),
      "preprocessor_config.json": pretty(layout.preprocessor),
      "README.md": cardOf(card, layout, network)
    }
    yield* files.writeFolder(folder, (temporary) =>
      Effect.gen(function*() {
        for (const [name, text] of Object.entries(texts)) yield* files.write(files.path.join(temporary, name), text)
        // Whoever opens the file by itself has to know that it lacks the aggregation head.
        const provenance = card.provenance && new Weights.Provenance({ ...card.provenance, model: kept(network) })
        const weights = Weights.make(network.tensors, provenance)
        yield* Weights.write(files.path.join(temporary, "model.safetensors"), weights, layout.names)
      }).pipe(Effect.provideContext(platform)))
  },
  (self, folder) => within(folder)(self)
)

/** The file names of a network's weights. The first one that exists is used. */
const WEIGHTS = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"] as const

const CONFIG = "config.json"
const PROCESSOR = "preprocessor_config.json"

/** Refuses one of our folders if somebody changed values that only other programs read. */
const agreeing = (file: string, expected: object, given: Readonly<Record<string, Schema.Json>>) => {
  const [first, ...rest] = Object.entries(JSON.parse(JSON.stringify(expected)) as Record<string, Schema.Json>).flatMap(
    ([path, value]) => {
      const found = given[path]
      if (found === undefined || Json.canonical(found) === Json.canonical(value)) return []
      const message = `expected ${JSON.stringify(value)}, the value of ${OWN} in ${CONFIG}, got ${
        JSON.stringify(found)
      }`
      return [{ path, message }]
    }
  )
  return first === undefined
    ? Effect.void
    : Effect.fail(new ForeignConfig.ForeignError({ file, problems: [first, ...rest] }))
}

/** Reads a folder without its weights. */
const described = Effect.fnUntraced(function*(
  files: Files.Files,
  folder: string
): Effect.fn.Return<typeof Own.Type, ModelFolderError["reason"]> {
  const at = (name: string) => files.path.join(folder, name)
  const members = Effect.fnUntraced(function*(name: string) {
    return yield* Config.decodeJson(Fields, at(name))(yield* files.readText(at(name)))
  })
  const config = yield* members(CONFIG)
  const own = config[OWN]
  if (own !== undefined) {
    const said = yield* Config.decode(Own, `${at(CONFIG)}, ${OWN}`)(own)
    const layout = layoutOf({ ...said.model, tensors: {} })
    yield* agreeing(at(CONFIG), layout.config, config)
    if (yield* files.fs.exists(at(PROCESSOR)).pipe(Files.onFailure(at(PROCESSOR)))) {
      yield* agreeing(at(PROCESSOR), layout.preprocessor, yield* members(PROCESSOR))
    }
    return said
  }
  const [architecture, another] = Array.isArray(config["architectures"]) ? config["architectures"] : []
  if (config["model_type"] !== "beit" || another !== undefined || !Schema.is(BeitConfig.Architecture)(architecture)) {
    return yield* new OtherModel({
      problem: `${CONFIG} describes ${JSON.stringify(config["architectures"] ?? config["model_type"] ?? null)}`
    })
  }
  const network = yield* BeitConfig.read(config, at(CONFIG))
  return {
    model: published(
      network,
      yield* ImageProcessor.read(yield* members(PROCESSOR), at(PROCESSOR), network.vit.imageSize)
    )
  }
})

/** Finds the weights file of a folder; none if the folder has another layout. */
export const weightsOf = Effect.fnUntraced(function*(folder: string) {
  const { fs, path } = yield* Files.make
  const there = (name: string) => Effect.orElseSucceed(fs.exists(path.join(folder, name)), () => false)
  const [name] = (yield* there(CONFIG)) ? yield* Effect.filter(WEIGHTS, there) : []
  return Option.map(Option.fromNullishOr(name), (name) => path.join(folder, name))
})

const opened = Effect.fn("patchword.ModelFolder.read")(
  function*(folder: string, { quantizer }: Pick<Tokenizer, "quantizer">) {
    const files = yield* Files.make
    const { model, ...rest } = yield* described(files, folder)
    const file = Option.getOrElse(yield* weightsOf(folder), () => files.path.join(folder, WEIGHTS[0]))
    const weights = yield* Weights.read(file, {
      network: Network.namesOf(model),
      naming: model._tag === "Tokenizer" ? "official" : "huggingface"
    })
    // transformers gives classifiers the token of hidden patches too, which they do not read.
    const tensors = model._tag === "Classifier"
      ? Record.filter(weights.tensors, (_, name) => name !== "mask_token")
      : weights.tensors
    const given = model._tag === "Tokenizer" && quantizer !== undefined ? { quantizer } : {}
    yield* Effect.fromResult(Network.check({ ...model, ...given }, tensors, file))
    return { ...model, ...given, ...rest, tensors }
  },
  (self, folder) => within(folder)(self)
)

/**
 * Reads a folder that {@link write} wrote, or a classifier or a pretrained network of BEiT in transformers.
 *
 * Fails with 66 if a file is missing, and with 65 if the folder describes another network, has unsupported values, or holds
 * weights that do not fit, or if the quantizer of its tokenizer is not given.
 */
export const read = (folder: string, given: Pick<Tokenizer, "quantizer"> = {}) => opened(folder, given)

/** Reads the description of a folder's network, as {@link read} does. It needs no quantizer given in code. */
export const describe = (folder: string) =>
  within(folder)(Effect.flatMap(Files.make, (files) => described(files, folder)))
