/** The engine that flags name. */
import { Effect, Layer } from "effect"
import { Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import type { VitConfig } from "../../domain/config/VitConfig.ts"
import * as Engine from "../../layers/engine/Engine.ts"
import { physicalCores } from "../../layers/machine/Processor.ts"
import * as Ranks from "../../layers/ranks/Ranks.ts"
import * as Described from "./Described.ts"

/** The engines that flags name, besides `auto`. */
export const ENGINES = ["onnx", "openvino", "tensorflow", "xla", "reference"] as const

/** The number formats of matrix products. */
export const PRECISIONS = ["fp32", "tf32", "bf16"] as const

/** The engine and its options. */
export const flags = {
  engine: Flag.Literals("engine", [...ENGINES, "auto"]).pipe(
    Described.withDefault("the engine; auto measures all and takes the fastest that is exact enough", "onnx")
  ),
  threads: Flag.Int("threads").pipe(
    Flag.filter((threads) => threads >= 0 && threads <= 1024, () => "a whole number from 0 to 1024"),
    Described.withDefault("threads of the engine; 0 for all cores", 0)
  ),
  precision: Flag.Literals("precision", PRECISIONS).pipe(
    Described.withDefault(
      "the number format of matrix products; bf16 on openvino, tensorflow and xla, tf32 on tensorflow and xla with a GPU",
      "fp32"
    )
  ),
  memory: Flag.Literals("memory", ["high", "low"]).pipe(
    Described.withDefault(
      "low recomputes blocks in the backward pass: less memory, more time; on onnx only",
      "high"
    )
  ),
  wire: Flag.Literals("wire", ["fp32", "bf16"]).pipe(
    Described.withDefault("the number format of gradients between ranks; on onnx with several ranks only", "fp32")
  ),
  collectives: Flag.Literals("collectives", ["host", "inside"]).pipe(
    Described.withDefault(
      "where values are summed over ranks; inside is NCCL's and was never tried; on xla with --platform cuda only",
      "host"
    )
  ),
  xla: Described.flag("xla", "XLA compiles each step as one program; its first run takes long; on tensorflow only"),
  platform: Flag.Literals("platform", ["cpu", "cuda"]).pipe(
    Described.withDefault("the kind of devices; cuda is an NVIDIA GPU; on xla only", "cpu")
  ),
  devices: Flag.Int("devices").pipe(
    Flag.filter((devices) => devices >= 1 && devices <= 64, () => "a whole number from 1 to 64"),
    Described.withDefault("devices that train together, each on its share of the batch; on xla only", 1)
  ),
  deterministic: Described.flag(
    "deterministic",
    "two runs on a GPU give the same bytes; steps are slower; on xla only"
  )
}

/** The values of {@link flags}. */
export interface EngineFlags {
  readonly engine: typeof ENGINES[number] | "auto"
  readonly threads: number
  readonly precision: typeof PRECISIONS[number]
  readonly memory: "high" | "low"
  readonly wire: "fp32" | "bf16"
  readonly collectives: "host" | "inside"
  readonly xla: boolean
  readonly platform: "cpu" | "cuda"
  readonly devices: number
  readonly deterministic: boolean
}

/** The flags that one engine alone takes, if they are given. */
const ofOneEngine = ({ collectives, deterministic, devices, memory, platform, wire, xla }: EngineFlags) =>
  [
    { flag: "--memory low", engine: "onnx", isGiven: memory === "low" },
    { flag: "--wire bf16", engine: "onnx", isGiven: wire === "bf16" },
    { flag: "--collectives inside", engine: "xla", isGiven: collectives === "inside" },
    { flag: "--xla", engine: "tensorflow", isGiven: xla },
    { flag: `--platform ${platform}`, engine: "xla", isGiven: platform !== "cpu" },
    { flag: `--devices ${devices}`, engine: "xla", isGiven: devices !== 1 },
    { flag: "--deterministic", engine: "xla", isGiven: deterministic }
  ].filter(({ isGiven }) => isGiven)

/** What the engine is chosen for. */
export interface Use {
  /** The network whose sizes `auto` measures engines at; default ViT-B/16. */
  readonly network?: VitConfig | undefined
  /** Says in errors where the name of the engine is from. */
  readonly source?: string
}

/** The engine that the flags name. Fails with 64 when it does not do what is asked, and as its layer does. */
export const layer = (
  given: EngineFlags,
  use: Use = {}
): Layer.Layer<Engine.Engine, Engine.EngineError | Config.ConfigError> =>
  Layer.unwrap(Effect.map(Ranks.Ranks, (ranks) => engineOf(given, use, ranks)))

const engineOf = (
  given: EngineFlags,
  { network, source = `--engine ${given.engine}` }: Use,
  { local, size }: Ranks.Ranks
): Layer.Layer<Engine.Engine, Engine.EngineError | Config.ConfigError> => {
  const { collectives, engine: name, memory, precision, threads, wire, xla } = given
  const refused = (message: string, advice: string) =>
    Layer.effect(Engine.Engine, Effect.fail(Config.refusal(source, message, advice)))
  // Ranks on one machine share its cores.
  const own = threads > 0 ? { threads } : size > 1 ? { threads: Math.max(1, Math.floor(physicalCores() / local)) } : {}
  const foreign = ofOneEngine(given).find(({ engine }) => engine !== name)
  if (foreign !== undefined) {
    const { engine, flag } = foreign
    return refused(
      `expected no ${flag}, which is for --engine ${engine}`,
      `leave out ${flag}, or write --engine ${engine}`
    )
  }
  if (wire === "bf16" && size === 1) {
    return refused("expected no --wire bf16, which is for several ranks", "leave out --wire, or start several ranks")
  }
  if (collectives === "inside" && (size === 1 || given.platform === "cpu")) {
    return refused(
      "expected no --collectives inside, which is for several ranks with NVIDIA's GPUs",
      "leave out --collectives, or start several ranks with --platform cuda"
    )
  }
  switch (name) {
    case "openvino":
      return precision === "tf32"
        ? refused(
          "expected --precision fp32 or bf16",
          "leave out --precision tf32, or write --engine tensorflow"
        )
        : Engine.layerOpenVino({ ...own, precision })
    case "tensorflow":
      return threads > 0
        ? refused(
          "expected no --threads",
          `leave out --threads, and set the variable TF_NUM_INTRAOP_THREADS to ${threads}`
        )
        : Engine.layerTensorFlow({ precision, xla })
    case "xla":
      return threads > 0
        ? refused("expected no --threads; XLA takes all cores", "leave out --threads")
        : Engine.layerXla({
          precision,
          platform: given.platform,
          devices: given.devices,
          collectives,
          deterministic: given.deterministic
        })
    case "auto":
      return threads > 0 || precision !== "fp32"
        ? refused(
          "expected neither --threads nor another --precision than fp32; engines are measured as they come",
          "leave out --threads and --precision"
        )
        : Engine.layerAuto(network === undefined ? {} : { like: network })
    case "onnx":
    case "reference":
      if (precision !== "fp32") {
        const able = precision === "bf16" ? "openvino, tensorflow or xla" : "tensorflow or xla"
        return refused("expected --precision fp32", `leave out --precision, or take ${able} for ${precision}`)
      }
      return name === "onnx" ? Engine.layerOnnx({ ...own, memory, wire }) : Engine.layerReference
  }
}
