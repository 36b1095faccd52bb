/** Layers that flags name: images, engines. */
import { Console, Effect, FileSystem, Layer, Option, Path } from "effect"
import type { AugmentConfig } from "../domain/config/AugmentConfig.ts"
import * as Config from "../domain/config/Config.ts"
import * as Engine from "../layers/engine/Engine.ts"
import * as Images from "../layers/images/Images.ts"
import { ImagesError } from "../layers/images/reading/ImagesError.ts"
import * as Show from "./Show.ts"

const SHARD = /\.(tar|tar\.gz|tgz|parquet)$/
const CIFAR = ["batches.meta.txt", "fine_label_names.txt"]

/** What flags take for nothing. */
const NONE = "none"

/** Shards by split: `train=a.tar,val=b.tar`, or files without a split for `train`. */
const shardsOf = (text: string): Images.Shards => {
  const shards = new Map<string, Array<string>>()
  for (const [, split = "train", file] of text.matchAll(/(?:^|,)(?:([\w-]+)=)?((?:\{[^}]*\}|[^,{])+)/g)) {
    shards.set(split, [...(shards.get(split) ?? []), file!])
  }
  return Object.fromEntries(shards)
}

/** How a network's configuration has colours read. */
type Colours = Pick<AugmentConfig, "colour">

/** What the flags of `Options.images` say. */
export interface Pictures {
  readonly images: string
  readonly check: "contents" | "names"
  readonly broken: "fail" | "skip"
  readonly pixelLimit: Option.Option<number>
  readonly splits: Option.Option<string>
  readonly labelColumn: Option.Option<string>
}

// Flags for other sources than the one that is named would be passed over.
const refused = (flag: string, message: string): Layer.Layer<Images.Images, ImagesError> =>
  Layer.effect(Images.Images, Effect.fail(new ImagesError({ source: flag, reason: Config.refusal(flag, message) })))

/** Says what a folder was taken for, and of each split what is not in it, once, when it is loaded. */
const remarked = Layer.effect(
  Images.Images,
  Effect.gen(function*() {
    const images = yield* Images.Images
    const { load, taken } = images
    const said = new Set<string>()
    if (taken !== undefined) yield* Console.error(taken)
    return {
      ...images,
      load: (split) =>
        Effect.tap(load(split), (set) => {
          if (said.has(split)) return Effect.void
          said.add(split)
          return Effect.forEach(Show.remarks(set), (remark) => Console.error(remark), { discard: true })
        })
    }
  })
)

const source = (
  { broken, check, images: given, labelColumn, pixelLimit, splits }: Pictures,
  { colour }: Colours,
  run: string | undefined
): Layer.Layer<Images.Images, ImagesError, FileSystem.FileSystem | Path.Path> => {
  const options = {
    check,
    onBroken: broken,
    ...(colour === undefined ? {} : { colour }),
    ...Option.match(pixelLimit, { onNone: () => ({}), onSome: (limit) => ({ pixelLimit: limit }) })
  }
  const isShard = SHARD.test(given)
  if (Option.isSome(labelColumn) && !isShard) {
    return refused("--label-column", `expected shards (.tar, .tar.gz, .parquet) by --images, got ${given}`)
  }
  const asked = Option.map(splits, (text) => text === NONE ? [] : text.split(",").map((name) => name.trim()))
  if (Option.exists(asked, (names) => new Set(names).size < names.length || names.includes(""))) {
    return refused("--splits", `expected names of sub-folders, each once, got "${Option.getOrElse(splits, () => "")}"`)
  }
  const noFolder = refused("--splits", `expected a folder of images by --images, got ${given}`)
  if (given === "emoji") return Option.isSome(splits) ? noFolder : Images.layerEmoji()
  if (isShard) {
    if (Option.isSome(splits)) return noFolder
    const label = Option.match(labelColumn, {
      onNone: () => ({}),
      onSome: (name) => ({ label: name === NONE ? false as const : name })
    })
    return given.endsWith(".parquet")
      ? Images.layerParquet(shardsOf(given), { ...options, ...label })
      : Images.layerWebDataset(shardsOf(given), { ...options, ...label })
  }
  if (/\.(ya?ml|json)$/.test(given)) return Option.isSome(splits) ? noFolder : Images.layerManifest(given, options)
  return Layer.unwrap(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const lists = yield* Effect.forEach(
      CIFAR,
      (name) => Effect.orElseSucceed(fs.exists(path.join(given, name)), () => false)
    )
    if (lists.includes(true)) return Option.isSome(splits) ? noFolder : Images.layerCifar(given)
    return Images.layerFolder(given, {
      ...options,
      ...(run === undefined ? {} : { cache: `${run}.images` }),
      ...Option.match(asked, { onNone: () => ({}), onSome: (names) => ({ splits: names }) })
    })
  }))
}

/**
 * The images that the flags name. The list of a folder's files is kept beside the run, where there is one. Fails as their
 * layers do.
 */
export const images = (given: Pictures, colours: Colours, run?: string) =>
  Layer.provide(remarked, source(given, colours, run))

/** What the flags of `Options.machine` say. */
export interface Machine {
  readonly engine: "onnx" | "openvino" | "tensorflow" | "reference" | "auto"
  readonly threads: number
  readonly precision: "fp32" | "bf16"
  readonly memory: "high" | "low"
}

/** The engine that the flags name. Fails with 64 when it does not do what is asked, and as its layer does. */
export const engine = (
  { engine: name, memory, precision, threads }: Machine
): Layer.Layer<Engine.Engine, Engine.EngineError | Config.ConfigError> => {
  const refused = (message: string) =>
    Layer.effect(Engine.Engine, Effect.fail(Config.refusal(`--engine ${name}`, message)))
  const own = threads > 0 ? { threads } : {}
  if (memory === "low" && name !== "onnx") return refused("expected --memory high; only onnx computes blocks again")
  switch (name) {
    case "openvino":
      return Engine.layerOpenVino({ ...own, precision })
    case "tensorflow":
      return threads > 0
        ? refused("expected no --threads; TensorFlow takes them from TF_NUM_INTRAOP_THREADS")
        : Engine.layerTensorFlow({ precision })
    case "auto":
      return threads > 0 || precision === "bf16"
        ? refused("expected neither --threads nor --precision bf16; engines are measured as they come")
        : Engine.layerAuto()
    case "onnx":
    case "reference":
      if (precision === "bf16") return refused("expected --precision fp32; choose openvino or tensorflow for bf16")
      return name === "onnx" ? Engine.layerOnnx({ ...own, memory }) : Engine.layerReference
  }
}

/** The images and the engine that the flags name; see {@link images} and {@link engine}. */
export const services = (given: Pictures & Machine, colours: Colours, run?: string) =>
  Layer.mergeAll(images(given, colours, run), engine(given))
