/** The parts of the measurement on a GPU. A part is one step of one engine, and runs in a process of its own. */

/** What a part measures. */
export interface Part {
  readonly model: string
  readonly stage: string
  readonly batch: number
  readonly precision: string
  readonly way: string
}

/** A way to compute a step: an engine of ours, or PyTorch with or without torch.compile. */
export interface Way {
  readonly by: "patchword" | "PyTorch"
  /** The engine of ours. */
  readonly engine?: "xla" | "tensorflow"
  /** Has XLA compile TensorFlow's graph. */
  readonly xla?: boolean
  /** Adds a profile. Its times are not compared, because the profiler is in the process. */
  readonly profile?: boolean
  /** The mode of torch.compile. */
  readonly compile?: string
  readonly precisions: ReadonlyArray<string>
}

const ALL = ["bf16", "tf32", "fp32"]
// TensorFlow's bf16 is for processors.
const GRAPH = ["tf32", "fp32"]

/** All ways by their names. */
export const ways: Readonly<Record<string, Way>> = {
  eager: { by: "PyTorch", precisions: ALL },
  xla: { by: "patchword", engine: "xla", precisions: ALL },
  "xla-profile": { by: "patchword", engine: "xla", profile: true, precisions: ["bf16"] },
  compile: { by: "PyTorch", compile: "default", precisions: ALL },
  "compile-cudagraphs": { by: "PyTorch", compile: "reduce-overhead", precisions: ALL },
  "compile-autotune": { by: "PyTorch", compile: "max-autotune-no-cudagraphs", precisions: ALL },
  tensorflow: { by: "patchword", engine: "tensorflow", xla: false, precisions: GRAPH },
  "tensorflow-xla": { by: "patchword", engine: "tensorflow", xla: true, precisions: GRAPH }
}

/** The stages that train, and those that use what was trained. */
export const TRAINING = ["mim", "vqkd"]
export const INFERENCE = ["features", "codes"]

/** What to measure. The first model and the first batch size are the most valuable. */
export interface Selection {
  readonly models: ReadonlyArray<string>
  readonly stages: ReadonlyArray<string>
  readonly batches: ReadonlyArray<number>
  readonly precisions: ReadonlyArray<string>
  readonly ways: ReadonlyArray<string>
}

/** The name of a part, and of what is compared with each other. */
export const groupOf = ({ batch, model, precision, stage }: Omit<Part, "way">): string =>
  `${model}/${stage}/${batch}/${precision}`
export const keyOf = (part: Part): string => `${groupOf(part)}/${part.way}`

/** Lists the parts of a selection, the most valuable first. The ways of a step follow one another. */
export const plan = ({ batches, models, precisions, stages, ways: chosen }: Selection): ReadonlyArray<Part> => {
  const [first, others] = [models.slice(0, 1), models.slice(1)]
  const [large, small] = [batches.slice(0, 1), batches.slice(1)]
  const best = ["eager", "xla"]
  const graph = ["tensorflow", "tensorflow-xla"]
  const rounds: ReadonlyArray<readonly [ReadonlyArray<string>, typeof TRAINING, typeof large, ReadonlyArray<string>]> =
    [
      [first, TRAINING, large, best],
      [first, TRAINING, large, ["compile"]],
      [first, TRAINING, large, ["xla-profile"]],
      [first, TRAINING, small, best],
      [first, INFERENCE, large, best],
      [others, TRAINING, large, best],
      [first, TRAINING, large, graph],
      [first, INFERENCE, large, ["compile"]],
      [first, TRAINING, small, ["compile"]],
      [first, TRAINING, large, ["compile-cudagraphs", "compile-autotune"]],
      [first, INFERENCE, large, graph],
      [first, INFERENCE, small, best],
      [others, INFERENCE, large, best],
      [others, TRAINING, large, ["compile"]]
    ]
  return rounds.flatMap(([someModels, someStages, someBatches, someWays]) =>
    someModels.flatMap((model) =>
      someBatches.flatMap((batch) =>
        precisions.flatMap((precision) =>
          someStages.filter((stage) => stages.includes(stage)).flatMap((stage) =>
            someWays.filter((way) => chosen.includes(way) && ways[way]!.precisions.includes(precision))
              .map((way) => ({ model, stage, batch, precision, way }))
          )
        )
      )
    )
  )
}
