import { assert, describe, it } from "@effect/vitest"
import { Effect, Runtime, Schema } from "effect"
import * as Config from "../../src/domain/config/Config.ts"
import { Preset } from "../../src/domain/config/Preset.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import type * as Json from "../../src/domain/values/Json.ts"
import * as Quantizers from "../../src/nn/tokenizer/Quantizers.ts"

type Plain = { [key: string]: unknown }

const edited = (edit: (plain: Plain) => void): Plain => {
  const plain: Plain = JSON.parse(JSON.stringify(Schema.encodeSync(Preset)(Presets.tiny)))
  edit(plain)
  return plain
}

const set = (path: string, value: unknown) => (plain: Plain) => {
  const keys = path.split(".")
  const last = keys.pop()!
  const parent = keys.reduce<Plain>((at, key) => {
    const next = at[key]
    assert.isObject(next)
    return next as Plain
  }, plain)
  if (value === undefined) delete parent[last]
  else parent[last] = value
}

const failure = (input: unknown) => Effect.flip(Config.decode(Preset, "run.json")(input))

const cases: ReadonlyArray<readonly [path: string, value: unknown, message: string]> = [
  ["pretrain.optimizer.lr", -1, "expected a number greater than 0, got -1"],
  ["pretrain.optimizer.lr", "fast", "expected a number, got \"fast\""],
  ["pretrain.optimizer.warmup", 600, "expected fewer steps than the duration of 600, got 600"],
  ["pretrain.optimizer.minLr", 1, "expected at most lr 0.003, got 1"],
  ["pretrain.optimizer.unit", "days", "expected steps or epochs, got \"days\""],
  ["pretrain.optimizer.clipNorm", 0, "expected a number greater than 0, got 0"],
  ["pretrain.optimizer.betas", [0.9, 1], "expected a number from 0 to below 1, got 1"],
  ["pretrain.vit.patchSize", 7, "expected a divisor of imageSize 48, got 7"],
  ["pretrain.vit.heads", 5, "expected a divisor of width 128, got 5"],
  ["pretrain.vit.depth", 2.5, "expected an integer, got 2.5"],
  ["pretrain.vit.depth", -1.5, "expected a whole number from 1 to 1000, got -1.5"],
  ["pretrain.optimizer.unit", "y".repeat(999), `expected steps or epochs, got "${"y".repeat(79)}…`],
  ["pretrain.augment.cropScale", 1, "expected a list, got 1"],
  ["pretrain.vit.qkvBias", "no", "expected true or false, got \"no\""],
  ["tokenizer.codebook.revival", 1, "expected an object with keys or null, got 1"],
  ["pretrain.optimizer.clipNorm", "x", "expected a number or null, got \"x\""],
  [
    "segmentation",
    { stride: 1, batchSize: 2, taps: [1, 1, 1, 1], channels: 3, auxiliary: 0, layerDecay: 1, resize: [1, 1] },
    "missing keys: seed, vit, head, finalNorm, lr, backboneRate, schedule, betas, weightDecay, steps, warmup, scale, maxClassShare, " +
    "distortion, mean, std, frozen"
  ],
  [
    "segmentation.distortion",
    true,
    "expected mmsegmentation, an object with brightness, contrast and saturation, or null, got true"
  ],
  [
    "segmentation.distortion",
    { brightness: -1, contrast: 0, saturation: 0 },
    "expected a number of at least 0, got -1"
  ],
  ["pretrain.mask.count", 36, "expected fewer than the 36 patches, got 36"],
  ["pretrain.mask.minBlock", 15, "expected at most mask.count 14, got 15"],
  ["pretrain.mask.maxBlock", 2, "expected at least minBlock 3, got 2"],
  ["pretrain.aggregation.earlyLayer", 6, "expected at most vit.depth 5, got 6"],
  ["pretrain.augment.cropScale", [0.9, 0.5], "expected two numbers in ascending order, got [0.9,0.5]"],
  ["pretrain.augment.flip", 2, "expected a number from 0 to 1, got 2"],
  ["tokenizer.codebook.decay", null, "expected a number such as 0.99 for the moving average, got null"],
  ["tokenizer.codebook.decay", 0, "expected a number above 0, because revival needs running counts, got 0"],
  [
    "tokenizer.codebook.quantizer",
    { kind: "fsq" },
    "expected one of kind \"movingAverage\", \"gradient\", \"finiteScalar\" or \"own\", got {\"kind\":\"fsq\"}"
  ],
  ["pretrain.initStd", 0, "expected a number greater than 0, got 0"],
  ["tokenizer.codebook.size", 0, "expected a whole number from 1 to 16777216, got 0"],
  ["pretrain.vit.width", 1e9, "expected a whole number from 1 to 65536, got 1000000000"],
  ["pretrain.vit.depth", 1_000_000, "expected a whole number from 1 to 1000, got 1000000"],
  ["finetune.layerDecay", 0, "expected a number above 0 and at most 1, got 0"],
  ["finetune.randAugment", { operations: 2, magnitude: 11, deviation: 0 }, "expected a number from 0 to 10, got 11"],
  ["finetune.autoAugment", "v1", "expected original, originalr, v0 or v0r, got \"v1\""],
  ["knn.pooling", undefined, "missing key"],
  ["knn.neighbours", [], "expected a list of at least 1 value, got []"],
  ["segmentation.taps", [9], "expected a list of 4 values, got [9]"],
  ["pretrain.augment.cropScale", [0.5], "expected a list of 2 values, got [0.5]"],
  ["tokenizer.codebook.revivel", null, "unknown key; did you mean revival?"],
  ["knn.flavour", 1, "unknown key; known ones are pooling, finalNorm, neighbours, temperature, fewShot"]
]

const meant: ReadonlyArray<readonly [path: string, said: string]> = [
  ["pretrain.optimizer.learning_rate", "lr"],
  ["pretrain.optimizer.bs", "batchSize"],
  ["pretrain.optimizer.batch_size", "batchSize"],
  ["pretrain.optimizer.wd", "weightDecay"],
  ["pretrain.optimizer.weight_decay", "weightDecay"],
  ["pretrain.optimizer.num_epochs", "epochs or duration"],
  ["pretrain.optimizer.update_freq", "accumulate"],
  ["pretrain.optimizer.clip_grad", "clipNorm"],
  ["pretrain.epochs", "pretrain.optimizer.epochs or pretrain.optimizer.duration"],
  ["pretrain.lr", "pretrain.optimizer.lr"],
  ["pretrain.embed_dim", "pretrain.vit.width"],
  ["pretrain.vit.hidden_size", "width"],
  ["pretrain.vit.patch_size", "patchSize"],
  ["pretrain.vit.img_size", "imageSize"],
  ["pretrain.vit.drop_path_rate", "dropPath"],
  ["pretrain.vit.batch_size", "pretrain.optimizer.batchSize"],
  ["pretrain.mask_ratio", "pretrain.mask.count"],
  ["pretrain.mask.mask_ratio", "count"],
  ["tokenizer.codebook_size", "tokenizer.codebook.size"],
  ["tokenizer.codebook.n_embed", "size"],
  ["tokenizer.codebook.embed_dim", "dim"],
  ["tokenizer.optimizer.lrr", "lr"],
  ["knn.k", "neighbours"],
  ["epochs", "the keys"],
  ["knn.batch_size", "the keys"]
]

describe("Config", () => {
  it.effect.each(meant)("%s means %s", ([path, said]) =>
    Effect.gen(function*() {
      const change = path.split(".").reduceRight<Json.Json>((inner, key) => ({ [key]: inner }), 1)
      const { problems: [first] } = yield* Effect.flip(Config.merge(Preset, "it")(Presets.tiny, change as Json.Changes))
      assert.strictEqual(first.path, path)
      if (said === "the keys") assert.match(first.message, /^unknown key; known ones are /)
      else assert.strictEqual(first.message, `unknown key; did you mean ${said}?`)
    }))

  it.effect("says what is wrong before what is missing", () =>
    Effect.gen(function*() {
      const change = { knn: { fewShot: { tries: 0 } } } as Json.Changes
      const { problems } = yield* Effect.flip(Config.merge(Preset, "it")(Presets.tiny, change))
      assert.deepStrictEqual(problems, [
        { path: "knn.fewShot.tries", message: "expected a whole number of at least 1, got 0" },
        { path: "knn.fewShot.perClass", message: "missing key" }
      ])
    }))

  it.effect("asks of a whole configuration for the keys that it holds", () =>
    Effect.gen(function*() {
      const { problems } = yield* failure(edited(set("pretrain.optimizer.epochs", 3)))
      assert.deepStrictEqual(problems.map(({ message }) => message), ["unknown key; did you mean duration?"])
    }))

  it.effect.each(
    [
      ["pretrain.optimizer.lr", undefined, "{pretrain: {optimizer: {lr: ...}}}"],
      ["pretrain.optimizer.learning_rate", undefined, "{pretrain: {optimizer: {lr: ...}}}"],
      ["optimizer.epochs", "pretrain", "{optimizer: {epochs: ...}}"],
      ["a.b", undefined, "{a: {b: ...}}"]
    ] as const
  )("the key %s is one key", ([key, parent, said]) =>
    Effect.gen(function*() {
      const change: Json.Changes = parent === undefined ? { [key]: 1 } : { [parent]: { [key]: 1 } }
      const error = yield* Effect.flip(Config.merge(Preset, "my.yaml")(Presets.tiny, change))
      assert.lengthOf(error.problems, 1)
      assert.include(
        error.message,
        `unknown key; give each name of a path a level of its own: ${said}; rename or remove it`
      )
    }))

  it.effect.each(cases)("%s = %j", ([path, value, message]) =>
    Effect.gen(function*() {
      const error = yield* failure(edited(set(path, value)))
      assert.strictEqual(error.problems.length, 1)
      const [problem] = error.problems
      assert.isTrue(problem.path.startsWith(path), problem.path)
      assert.strictEqual(problem.message, message)
    }))

  it.effect("refuses what a quantizer has no use for, and sizes that are not its own", () =>
    Effect.gen(function*() {
      const error = yield* failure(edited((plain) => {
        set("tokenizer.codebook.quantizer", { kind: "finiteScalar", levels: [8, 6, 5] })(plain)
      }))
      assert.deepStrictEqual(error.problems.map(({ message, path }) => `${path}: ${message}`), [
        "tokenizer.codebook.revival: expected null, because the quantizer finiteScalar revives no code",
        "tokenizer.codebook.decay: expected null, because the quantizer finiteScalar has no moving average",
        "tokenizer.codebook.kmeans: expected false, because the quantizer finiteScalar has no codebook",
        "tokenizer.codebook.size: expected 240, the product of the levels, got 256",
        "tokenizer.codebook.dim: expected 3, the number of the levels, got 32"
      ])
    }))

  it.effect("goes back to the moving average from another quantizer", () =>
    Effect.gen(function*() {
      const quantizer = { kind: "gradient", commitment: 1 } as const
      const merge = Config.merge(Preset, "test")
      const other = yield* merge(Presets.tiny, { tokenizer: { codebook: { decay: null, revival: null, quantizer } } })
      const back = { quantizer: { kind: "movingAverage" }, decay: 0.99 } as const
      const { tokenizer } = yield* merge(other, { tokenizer: { codebook: back } })
      assert.deepInclude(tokenizer.codebook, back)
      assert.strictEqual(Quantizers.of(tokenizer.codebook)?.name, "movingAverage")
      const half = yield* Effect.flip(
        merge(other, { tokenizer: { codebook: { quantizer: { kind: "movingAverage" } } } })
      )
      assert.match(half.message, /tokenizer\.codebook\.decay: expected a number such as 0\.99/)
    }))

  it.effect("refuses two kinds of augmentation at once", () =>
    Effect.gen(function*() {
      const error = yield* failure(edited((plain) => {
        set("finetune.randAugment", { operations: 2, magnitude: 9, deviation: 0.5 })(plain)
        set("finetune.autoAugment", "v0")(plain)
      }))
      assert.match(error.message, /finetune\.autoAugment: expected none together with randAugment/)
    }))

  it.effect("lists every problem in one sentence", () =>
    Effect.gen(function*() {
      const error = yield* failure(edited((plain) => {
        set("pretrain.optimizer.lr", 0)(plain)
        set("tokenizer.codebook.dimm", 4)(plain)
        set("knn.neighbours", 0)(plain)
      }))
      assert.sameMembers(error.problems.map((problem) => problem.path), [
        "pretrain.optimizer.lr",
        "tokenizer.codebook.dimm",
        "knn.neighbours"
      ])
      assert.match(error.message, /^run\.json: .*; .*; .*; correct these and run again$/)
      assert.strictEqual(error[Runtime.errorExitCode], 64)
    }))

  it.effect("says where text is no JSON", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Config.decodeJson(Preset, "run.json")("{"))
      assert.strictEqual(
        error.message,
        "run.json: expected JSON (Expected property name or '}' in JSON at position 1 (line 1 column 2)); " +
          "correct this and run again"
      )
    }))

  it.effect("refuses what is no object", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* failure(7)).problems, [{
        path: "",
        message: "expected an object with keys, got 7"
      }])
    }))
})
