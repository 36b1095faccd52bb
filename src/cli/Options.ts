/** Flags that commands share. */
import { Flag } from "effect/cli"
import { Colour } from "../domain/config/AugmentConfig.ts"
import * as Classes from "../domain/evaluation/Classes.ts"

/** Where a configuration comes from: a preset, over it a file, over it single values. */
export const settings = {
  preset: Flag.String("preset").pipe(
    Flag.withDescription("configuration to begin with: tiny, base, base300, large, ..."),
    Flag.withDefault("tiny")
  ),
  config: Flag.File("config").pipe(
    Flag.withDescription("a JSON or YAML file whose values stand over the preset's"),
    Flag.optional
  ),
  set: Flag.KeyValuePair("set").pipe(
    Flag.withDescription("a value over all others, as pretrain.optimizer.lr=0.001"),
    Flag.withDefault({})
  ),
  seed: Flag.Finite("seed").pipe(
    Flag.withDescription("names every random number of the run; default the configuration's"),
    Flag.filter(
      (seed) => Number.isSafeInteger(seed),
      () => `an integer from ${Number.MIN_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}`
    ),
    Flag.optional
  )
}

/** What computes. */
export const machine = {
  engine: Flag.Literals("engine", ["onnx", "openvino", "tensorflow", "reference", "auto"]).pipe(
    Flag.withDescription("what computes; auto measures all and takes the fastest that is exact enough"),
    Flag.withDefault("onnx" as const)
  ),
  threads: Flag.Int("threads").pipe(
    Flag.withDescription("threads of the engine; 0 for all cores"),
    Flag.filter((threads) => threads >= 0, () => "0 or more"),
    Flag.withDefault(0)
  ),
  precision: Flag.Literals("precision", ["fp32", "bf16"]).pipe(
    Flag.withDescription("what matrix products compute in; bf16 on openvino and tensorflow"),
    Flag.withDefault("fp32" as const)
  ),
  memory: Flag.Literals("memory", ["high", "low"]).pipe(
    Flag.withDescription("low computes blocks again for gradients, in less memory and more time; on onnx"),
    Flag.withDefault("high" as const)
  )
}

/** Where images come from, and what is done before they are used. */
export const images = {
  images: Flag.String("images").pipe(
    Flag.withDescription(
      "emoji, a folder of images or of CIFAR, a manifest (.yaml, .json), or shards (.tar, .tar.gz, .parquet) as " +
        "train=a-{000..099}.tar,val=b.tar"
    ),
    Flag.withDefault("emoji")
  ),
  splits: Flag.String("splits").pipe(
    Flag.withDescription(
      "the sub-folders of a folder that are its splits, as train,val; none where its sub-folders are classes"
    ),
    Flag.optional
  ),
  labelColumn: Flag.String("label-column").pipe(
    Flag.withDescription(
      "the column of .parquet, or the field of a sample's .json in .tar, that is the label; none reads no labels"
    ),
    Flag.optional
  ),
  check: Flag.Literals("check", ["contents", "names"]).pipe(
    Flag.withDescription("contents decodes every image once before use; names trusts, for millions of images"),
    Flag.withDefault("contents" as const)
  ),
  broken: Flag.Literals("broken", ["fail", "skip"]).pipe(
    Flag.withDescription("what broken images do: fail, all named; or be left out, which needs --check contents"),
    Flag.withDefault("fail" as const)
  ),
  colour: Flag.Literals("colour", Colour.literals).pipe(
    Flag.withDescription(
      "managed: as a person sees them; official: as the official code reads them; default the network's or the preset's"
    ),
    Flag.optional
  ),
  pixelLimit: Flag.Int("pixel-limit").pipe(
    Flag.withDescription("most pixels of an image; a larger one is taken for broken; default 100 million"),
    Flag.filter((limit) => limit >= 1, () => "1 or more"),
    Flag.optional
  )
}

/** Who teaches, and what the weights of a teacher do not say. */
export const teacher = {
  teacher: Flag.String("teacher").pipe(
    Flag.withDescription(
      "hog, clip:FILE, dino:FILE, onnx:FILE#OUTPUT, run:RUN (an earlier network of ours), or cache:FOLDER"
    ),
    Flag.withDefault("hog")
  ),
  teacherSkip: Flag.Int("teacher-skip").pipe(
    Flag.withDescription("leading tokens of onnx:FILE that are no patches, as 1 for a class token; default 0"),
    Flag.filter((skip) => skip >= 0, () => "0 or more"),
    Flag.optional
  ),
  teacherChannels: Flag.String("teacher-channels").pipe(
    Flag.withDescription(
      "pixels as the teacher's file expects them: plain (0 to 1), half, imagenet, clip, or three means and three " +
        "deviations; default plain of onnx:FILE, of others what stands beside the file, or is usual"
    ),
    Flag.optional
  ),
  teacherActivation: Flag.Literals("teacher-activation", ["quick_gelu", "gelu"]).pipe(
    Flag.withDescription("of the MLPs of clip:FILE: quick_gelu in OpenAI's, gelu in most of OpenCLIP's"),
    Flag.optional
  ),
  teacherHeads: Flag.Int("teacher-heads").pipe(
    Flag.withDescription("attention heads of clip:FILE or dino:FILE; default of 64 channels each"),
    Flag.filter((heads) => heads >= 1, () => "1 or more"),
    Flag.optional
  )
}

/** The run folder of a command that trains. */
export const out = Flag.String("out").pipe(Flag.withDescription("run folder; an unfinished run there goes on"))

/** The split that is learned from or looked at. */
export const split = Flag.String("split").pipe(
  Flag.withDescription("which part of the images"),
  Flag.withDefault("train")
)

/** The names in a list, each once. */
export const names = (list: string): ReadonlyArray<string> => [...new Set(list.split(","))]

/** The splits that a network is tested on. */
export const tests = Flag.String("tests").pipe(
  Flag.withDescription("splits to test on, as val,in-new"),
  Flag.withDefault("val"),
  Flag.map(names)
)

/** How the classes of the tested splits may differ from those that are learned. */
export const classes = Flag.Literals("classes", Classes.Rule.literals).pipe(
  Flag.withDescription(
    "same: every split has the same classes, by name; fewer: a tested split may lack some; subset: and answers are sought " +
      "among those that occur in it, as on ImageNet-A and -R"
  ),
  Flag.withDefault("same" as const)
)

/** Results for machines. */
export const json = Flag.Boolean("json").pipe(
  Flag.withDescription("print one JSON object on standard output, progress on standard error"),
  Flag.withDefault(false)
)
