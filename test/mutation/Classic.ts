import { readFileSync } from "node:fs"
import { type Mutant, replace } from "./Mutant.ts"
import { root } from "./Tests.ts"

type Fault = readonly [what: string, file: string, before: string, after: string]

/** Faults of the method that are easily made: what is wrong, the source, its text, and the text with the fault. */
const faults: ReadonlyArray<Fault> = [
  [
    "vectors are not normalised",
    "nn/tokenizer/MovingAverage.ts",
    "const z = l2Normalize(vectors)",
    "const z = vectors"
  ],
  [
    "moved codes are not normalised",
    "nn/tokenizer/MovingAverage.ts",
    "l2Normalize(add(scale(codebook, decay), scale(target, 1 - decay)))",
    "add(scale(codebook, decay), scale(target, 1 - decay))"
  ],
  [
    "the gradient of the straight-through estimator is halved",
    "shapes/Codes.ts",
    "[dy, tf.zerosLike(dy)]",
    "[tf.mul(dy, 0.5), tf.zerosLike(dy)]"
  ],
  [
    "the straight-through estimator passes its gradient to the codebook",
    "shapes/Codes.ts",
    "[dy, tf.zerosLike(dy)]",
    "[dy, dy]"
  ],
  [
    "the commitment moves the codes",
    "nn/tokenizer/LearnedCodes.ts",
    "sub(z, stopGradient(rows))",
    "sub(z, rows)"
  ],
  [
    "the decay of the moving average is swapped",
    "nn/tokenizer/MovingAverage.ts",
    "add(scale(codebook, decay), scale(target, 1 - decay))",
    "add(scale(codebook, 1 - decay), scale(target, decay))"
  ],
  ["a code without vectors moves", "nn/tokenizer/MovingAverage.ts", "isBelow(counts, 0.5)", "isBelow(counts, -0.5)"],
  [
    "a state is written over while it is still read",
    "compiler/onnx/InPlace.ts",
    "&& needs(writer, reading)",
    "&& (needs(writer, reading) || true)"
  ],
  [
    "a fused reader may read another element",
    "compiler/onnx/InPlace.ts",
    "!group.has(place) || elementwise(place, group)",
    "!group.has(place) || (elementwise(place, group) || true)"
  ],
  ["the cosine is one step late", "domain/method/Schedule.ts", "(step - warmup)) /", "(step - warmup - 1)) /"],
  [
    "the warmup ends one step late",
    "domain/method/Schedule.ts",
    "(step * peak) / (warmup - 1)",
    "(step * peak) / warmup"
  ],
  [
    "relative positions are cut off one place early",
    "domain/method/RelativePosition.ts",
    "Math.min(Math.max(i - to + 1, -reach), reach)",
    "Math.min(Math.max(i - to + 1, -reach + 1), reach - 1)"
  ],
  [
    "relative positions are counted from the wrong side",
    "domain/method/RelativePosition.ts",
    "+ column + width - 1",
    "- column + width - 1"
  ],
  [
    "layer scale is left out",
    "nn/blocks/Block.ts",
    "gamma === undefined ? branch : scaleChannels<[B, ...S], C>(branch, gamma)",
    "branch"
  ],
  [
    "drop path does not scale what it keeps",
    "nn/blocks/DropPath.ts",
    "Math.floor(1 - rate + uniform()) / (1 - rate)",
    "Math.floor(1 - rate + uniform())"
  ],
  [
    "drop path rises to a rate beyond the last block",
    "domain/method/Schedule.ts",
    "(i * (to - from)) / (count - 1)",
    "(i * (to - from)) / count"
  ],
  ["a separate head is not used", "nn/pretrain/Mim.ts", "cls_pt_lm_head ?? lm_head", "lm_head"],
  ["a separate norm is not used", "nn/pretrain/Mim.ts", "cls_pt_norm ?? norm", "norm"],
  [
    "a shared head gets parameters of its own",
    "nn/pretrain/Mim.ts",
    "aggregation.sharedHead\n",
    "!aggregation.sharedHead\n"
  ],
  [
    "aggregation takes the next layer",
    "nn/pretrain/Mim.ts",
    "trunk.outputs[earlyLayer - 1]",
    "trunk.outputs[earlyLayer]"
  ],
  [
    "aggregation takes the class token of the early layer",
    "nn/pretrain/Mim.ts",
    "prepend(trunk.classToken(), early)",
    "trunk.outputs[earlyLayer - 1] ?? trunk.all()"
  ],
  ["a block of a mask may be larger than what remains", "domain/method/BlockMask.ts", "added > cap", "added > count"],
  ["a mask lacks a patch", "domain/method/BlockMask.ts", "while (masked < count)", "while (masked < count - 1)"],
  ["a mask may have too few patches", "domain/method/BlockMask.ts", "if (masked < count)", "if (masked < count - 1)"],
  ["the ratios of blocks have no inverse", "domain/method/BlockMask.ts", "Math.log(1 / minAspect)", "0"],
  [
    "smoothing leaves the label its whole share",
    "shapes/Loss.ts",
    "tf.mul(tf.sum(picked), -(1 - smoothing) / rows)",
    "tf.mul(tf.sum(picked), -1 / rows)"
  ],
  ["the gradient of smoothing misses classes", "shapes/Loss.ts", "smoothing / classes", "smoothing / (classes - 1)"],
  [
    "mixup swaps the shares of the images",
    "domain/method/Mixup.ts",
    "data[own + i]! * share + data[other + i]! * (1 - share)",
    "data[own + i]! * (1 - share) + data[other + i]! * share"
  ],
  [
    "CutMix reports the share that was drawn",
    "domain/method/Mixup.ts",
    "1 - (bottom - top) * (right - left) / (height * width)",
    "share"
  ],
  [
    "layer decay is one layer off",
    "domain/method/LayerDecay.ts",
    "options.depth + 1 - layer(",
    "options.depth - layer("
  ],
  ["a block counts as the layer before it", "domain/method/LayerDecay.ts", "Number(block[1]) + 1", "Number(block[1])"],
  ["weight decay acts on norms", "domain/method/WeightDecay.ts", "rank > 1 &&", "rank > 0 &&"],
  [
    "weight decay acts on the class token",
    "domain/method/WeightDecay.ts",
    "[\"pos_embed\", \"cls_token\"]",
    "[\"pos_embed\"]"
  ]
]

/** Returns the listed faults. A text that is not in its source, or is there twice, is refused. */
export const mutants = (): ReadonlyArray<Mutant> =>
  faults.flatMap(([, path, before, after]) => {
    const file = `src/${path}`
    return replace(file, readFileSync(`${root}/${file}`, "utf8"), before, after)
  })
