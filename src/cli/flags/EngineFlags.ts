/** The engine that flags name. */
import { Effect, Layer } from "effect"
import { Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import * as Engine from "../../layers/engine/Engine.ts"

import * as Described from "./Described.ts"

/** The engine and its options. */
export const flags = {
  engine: Flag.Literals("engine", ["onnx", "openvino", "tensorflow", "xla", "reference", "auto"]).pipe(
    Described.withDefault("the engine; auto measures all and takes the fastest that is exact enough", "onnx")
  ),
  threads: Flag.Int("threads").pipe(
    Flag.filter((threads) => threads >= 0 && threads <= 1024, () => "a whole number from 0 to 1024"),
    Described.withDefault("threads of the engine; 0 for all cores", 0)
  ),
  precision: Flag.Literals("precision", ["fp32", "tf32", "bf16"]).pipe(
    Described.withDefault(
      "the number format of matrix products; bf16 on openvino, tensorflow and xla, tf32 on tensorflow with a GPU",
      "fp32"
    )
  ),
  memory: Flag.Literals("memory", ["high", "low"]).pipe(
    Described.withDefault(
      "low recomputes blocks in the backward pass: less memory, more time; on onnx only",
      "high"
    )
  ),
  xla: Described.flag("xla", "XLA compiles each step as one program; its first run takes long; on tensorflow only")
}

/** The values of {@link flags}. */
export interface EngineFlags {
  readonly engine: "onnx" | "openvino" | "tensorflow" | "xla" | "reference" | "auto"
  readonly threads: number
  readonly precision: "fp32" | "tf32" | "bf16"
  readonly memory: "high" | "low"
  readonly xla: boolean
}

/** The engine that the flags name. Fails with 64 when it does not do what is asked, and as its layer does. */
export const layer = (
  { engine: name, memory, precision, threads, xla }: EngineFlags
): Layer.Layer<Engine.Engine, Engine.EngineError | Config.ConfigError> => {
  const refused = (message: string, advice: string) =>
    Layer.effect(Engine.Engine, Effect.fail(Config.refusal(`--engine ${name}`, message, advice)))
  const own = threads > 0 ? { threads } : {}
  if (memory === "low" && name !== "onnx") {
    return refused(
      "expected --memory high; only onnx computes blocks again",
      "leave out --memory low, or write --engine onnx"
    )
  }
  if (xla && name !== "tensorflow") {
    return refused(
      "expected no --xla, which is for --engine tensorflow",
      "leave out --xla, or write --engine tensorflow"
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
        : Engine.layerXla({ precision })
    case "auto":
      return threads > 0 || precision !== "fp32"
        ? refused(
          "expected neither --threads nor another --precision than fp32; engines are measured as they come",
          "leave out --threads and --precision"
        )
        : Engine.layerAuto()
    case "onnx":
    case "reference":
      if (precision !== "fp32") {
        const able = precision === "bf16" ? "openvino, tensorflow or xla" : "tensorflow"
        return refused("expected --precision fp32", `leave out --precision, or take ${able} for ${precision}`)
      }
      return name === "onnx" ? Engine.layerOnnx({ ...own, memory }) : Engine.layerReference
  }
}
