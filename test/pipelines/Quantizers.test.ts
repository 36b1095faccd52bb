import { NodeServices } from "@effect/platform-node"
import { assert, describe, it as plainly, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { signs } from "../../examples/ownQuantizer.ts"
import * as Trace from "../../src/compiler/trace/Trace.ts"
import * as Config from "../../src/domain/config/Config.ts"
import { CodebookConfig, TokenizerConfig } from "../../src/domain/config/TokenizerConfig.ts"
import * as ScalarLevels from "../../src/domain/method/ScalarLevels.ts"
import type * as Json from "../../src/domain/values/Json.ts"
import * as Files from "../../src/layers/files/Files.ts"
import { Progress } from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import type * as Quantizer from "../../src/nn/tokenizer/Quantizer.ts"
import * as Artifact from "../../src/pipelines/artifacts/Artifact.ts"
import { inspect } from "../../src/pipelines/artifacts/Inspect.ts"
import * as ModelFolder from "../../src/pipelines/artifacts/ModelFolder.ts"
import { encode } from "../../src/pipelines/evaluate/Encode.ts"
import { evaluateTokenizer } from "../../src/pipelines/evaluate/Evaluate.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import * as Tokenizer from "../../src/pipelines/trained/Tokenizer.ts"
import * as Continuation from "../../src/pipelines/training/Continuation.ts"
import { stepOf, type TokenizerOptions, trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import * as Codes from "../../src/shapes/Codes.ts"
import type * as Dim from "../../src/shapes/Dim.ts"
import * as Elementwise from "../../src/shapes/Elementwise.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as ShapeError from "../../src/shapes/ShapeError.ts"
import * as Tensor from "../../src/shapes/Tensor.ts"
import { machine, micro, recording, sets } from "./kit.ts"

const preset = micro({ duration: 40, warmup: 4 })

const { pretrain: brief } = micro({ duration: 3 })

const average = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length

const scalars = (levels: ReadonlyArray<number>) => ({
  size: ScalarLevels.codes(levels),
  dim: levels.length,
  revival: null,
  decay: null,
  kmeans: false,
  quantizer: { kind: "finiteScalar", levels }
})

const codebooks: Readonly<Record<string, { readonly codebook: Json.Json; readonly losses: ReadonlyArray<string> }>> = {
  "codes that learn by gradient": {
    codebook: { decay: null, revival: null, quantizer: { kind: "gradient", commitment: 0.25 } },
    losses: ["codebook", "commitment"]
  },
  "codes that learn by gradient from random directions": {
    codebook: { decay: null, revival: null, kmeans: false, quantizer: { kind: "gradient", commitment: 0.25 } },
    losses: ["codebook", "commitment"]
  },
  "codes of plain VQ": {
    codebook: {
      decay: null,
      revival: null,
      kmeans: false,
      quantizer: { kind: "gradient", commitment: 0.25, l2Normalize: false }
    },
    losses: ["codebook", "commitment"]
  },
  "finite scalars": { codebook: scalars([4, 2, 2]), losses: [] },
  "a quantizer of one's own": { codebook: { size: 16, dim: 4, kmeans: false, revival: null }, losses: ["commitment"] }
}

const configOf = (codebook: Json.Json) => Config.merge(TokenizerConfig, "test")(preset.tokenizer, { codebook })

const bytes = ({ tensors }: { readonly tensors: Readonly<Record<string, { readonly data: ArrayLike<number> }>> }) =>
  Object.entries(tensors).map(([name, { data }]): [string, string] => [name, Array.from(data).join()]).toSorted()

const trained = Effect.fnUntraced(function*(name: string, checkpointEvery = 100) {
  const config = yield* configOf(codebooks[name]!.codebook)
  const own = name === "a quantizer of one's own" ? { quantizer: signs(4) } : {}
  return yield* trainTokenizer(config, { ...own, checkpointEvery })
})

const shortly = Effect.fnUntraced(function*(codebook: Json.Json, options: TokenizerOptions) {
  const short = yield* Config.merge(TokenizerConfig, "test")(yield* configOf(codebook), {
    optimizer: { duration: 3, warmup: 0 }
  })
  return yield* trainTokenizer(short, options)
})

type Width = Dim.Dim<"codeWidth">

type Change = <M extends number>(given: Quantizer.Quantized<M, Width>) => unknown

const odd = (change: Change): Quantizer.Named => ({
  ...signs(4),
  quantize: <M extends number>(learned: object, vectors: Tensor.Tensor<[M, Width]>) =>
    change(signs(4).quantize(learned, vectors)) as Quantizer.Quantized<M, Width>
})

const interrupted = Effect.fnUntraced(function*(name: string, step: number) {
  const reached = yield* Deferred.make<void>()
  const progress = recording(
    [],
    (report) => report.step === step ? Deferred.succeed(reached, undefined) : Effect.void
  )
  const fiber = yield* Effect.forkChild(trained(name).pipe(Effect.provideService(Progress, progress)))
  yield* Deferred.await(reached)
  yield* Fiber.interrupt(fiber)
})

describe.each(Object.keys(codebooks))("%s", (name) => {
  layer(machine)((it) => {
    it.effect("train, resume, encode, and are predicted", () =>
      Effect.gen(function*() {
        const fresh = Runs.layerMemory()
        const { log, tokenizer } = yield* Effect.gen(function*() {
          const tokenizer = yield* trained(name)
          yield* pretrain(brief, tokenizer)
          return { tokenizer, log: yield* (yield* Runs.Runs).readLog }
        }).pipe(Effect.provide(fresh, { local: true }))
        const rows = log.filter(({ stage }) => stage === "tokenizer")
        assert.deepStrictEqual(
          Object.keys(rows[0]!),
          [
            "stage",
            "step",
            "loss",
            "cosine",
            ...codebooks[name]!.losses,
            "gradientNorm",
            "usage",
            "perplexity",
            "lr",
            "weightDecay"
          ]
        )
        const losses = rows.map(({ loss }) => Number(loss))
        assert.isBelow(average(losses.slice(-10)), average(losses.slice(0, 10)))

        const broken = yield* Effect.gen(function*() {
          yield* interrupted(name, 17)
          return yield* trained(name, 20)
        }).pipe(Effect.provide(fresh, { local: true }))
        assert.deepStrictEqual(bytes(broken), bytes(tokenizer))

        const found: Array<number> = []
        yield* encode(tokenizer, sets[0]!, (images) =>
          Effect.sync(() =>
            found.push(...images.flatMap(({ codes }) => Array.from(codes)))
          ))
        assert.isTrue(found.every((code) => code >= 0 && code < 16))
        assert.isAbove(new Set(found).size, 1)
        const { images } = yield* evaluateTokenizer(tokenizer, sets[0]!)
        assert.deepStrictEqual(images.flatMap(({ codes }) => Array.from(codes)), found)
      }), 120_000)
  })
})

describe("a tokenizer with a quantizer of one's own", () => {
  layer(machine)((it) => {
    it.effect("says its name, and is read with it alone", () =>
      Effect.gen(function*() {
        const folder = mkdtempSync(join(tmpdir(), "quantizer-"))
        yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
        const tokenizer = yield* trained("a quantizer of one's own")
        const file = join(folder, "signs")
        yield* ModelFolder.write(file, { _tag: "Tokenizer", ...tokenizer }, { name: "signs" })
        const missing = yield* Effect.flip(Artifact.tokenizer(file))
        assert.include(missing.message, "quantizer \"signs\" (16 codes of 4 channels). Its file has the name only")
        const other = yield* Effect.flip(Artifact.tokenizer(file, { quantizer: signs(5) }))
        assert.include(other.message, "The given one is \"signs\" (32 codes of 5 channels)")
        const read = yield* Artifact.tokenizer(file, { quantizer: signs(4) })
        assert.deepStrictEqual(bytes(read), bytes(tokenizer))
        const refused = yield* Effect.flip(trainTokenizer(tokenizer.config))
        assert.include(
          refused.message,
          "codebook.quantizer: expected the quantizer \"signs\" to be given in code: trainTokenizer(config, { quantizer })"
        )
      }).pipe(Effect.provide(Runs.layerMemory(), { local: true }), Effect.provide(Files.layerNode), Effect.scoped))

    it.effect("is refused where its codes are not there", () =>
      Effect.gen(function*() {
        const config = yield* configOf(codebooks["a quantizer of one's own"]!.codebook)
        const far = odd(({ codes, ...rest }) => ({
          ...rest,
          codes: Codes.fromFloat(Elementwise.shift(Elementwise.toFloat(codes), 16))
        }))
        const refused = yield* Effect.flip(trainTokenizer(config, { quantizer: far }))
        assert.strictEqual(refused._tag, "QuantizerError")
        assert.match(
          refused.message,
          /^the quantizer "signs": expected codes from 0 to 15, got (1[6-9]|2\d|3[01]); correct its function quantize$/
        )
        const bare = yield* Effect.flip(
          trainTokenizer(config, { quantizer: odd(({ codes, losses, z }) => ({ codes, losses, z })) })
        )
        assert.strictEqual(bare._tag, "EngineError")
        assert.include(bare.message, "the quantizer \"signs\": z_q: expected float32 [128, 4], got nothing")
        const { tensors, ...trained } = yield* trainTokenizer(config, { quantizer: signs(4) })
        const opened = { ...trained, tensors, quantizer: far }
        const said = yield* Effect.flip(encode(opened, sets[2]!, () => Effect.void))
        const rebuilt = yield* Effect.flip(evaluateTokenizer(opened, sets[2]!))
        assert.deepStrictEqual([said._tag, rebuilt._tag], ["QuantizerError", "QuantizerError"])
      }).pipe(Effect.provide(Runs.layerMemory(), { local: true })), 60_000)

    it.effect("is refused where its initial values are not those of its state", () =>
      Effect.gen(function*() {
        const config = yield* configOf(codebooks["a quantizer of one's own"]!.codebook)
        const said = (more: object) =>
          Effect.map(
            Effect.flip(trainTokenizer(config, { quantizer: { ...signs(4), state: { scale: spec }, ...more } })),
            ({ message }) => message
          )
        const spec = { shape: [2], dtype: "float32" }
        const host = (...values: ReadonlyArray<number>) =>
          HostTensor.make([values.length], "float32", Float32Array.from(values))
        const fit = (found: () => object) => ({ fit: { draw: () => ({}), run: found } })
        const named = "the quantizer \"signs\": "
        assert.include(
          yield* said(fit(() => ({ scael: Tensor.zeros([2]) }))),
          `${named}fit: scael: expected nothing, got float32 [2]`
        )
        assert.include(
          yield* said(fit(() => ({ scale: Tensor.zeros([3]) }))),
          `${named}fit: scale: expected float32 [2], got float32 [3]`
        )
        assert.strictEqual(
          yield* said(fit(() => ({ scale: Tensor.fill([2], Number.NaN) }))),
          `${named}fit: scale: expected finite numbers, got NaN; correct its function fit`
        )
        assert.strictEqual(
          yield* said({ initial: () => ({ scael: host(1, 2) }) }),
          `${named}initial: scale: expected float32 [2], got nothing; correct its function initial`
        )
        assert.strictEqual(
          yield* said({ initial: () => ({ scale: host(1, 2, 3) }) }),
          `${named}initial: scale: expected float32 [2], got float32 [3]; correct its function initial`
        )
        assert.strictEqual(
          yield* said({ initial: () => ({ scale: host(1, Number.NaN) }) }),
          `${named}initial: scale: expected finite numbers, got NaN; correct its function initial`
        )
      }).pipe(Effect.provide(Runs.layerMemory(), { local: true })))

    it.effect("does not contradict its configuration", () =>
      Effect.gen(function*() {
        const refused = Effect.fnUntraced(function*(codebook: Json.Json, quantizer: Quantizer.Named) {
          const config = yield* configOf(codebook)
          return (yield* Effect.flip(trainTokenizer(config, { quantizer }))).message
        })
        const contradiction = (asked: string) =>
          `codebook.quantizer: the configuration names the quantizer ${asked}, but "signs" is given in code; remove one of the two`
        assert.include(yield* refused(scalars([2, 2, 2, 2]), signs(4)), contradiction("finiteScalar"))
        const named = { size: 16, dim: 4, kmeans: false, revival: null, quantizer: { kind: "own", name: "corners" } }
        assert.include(yield* refused(named, signs(4)), contradiction("\"corners\""))
        assert.include(
          yield* refused({ size: 16, dim: 4 }, { ...signs(4), name: "" }),
          "codebook.quantizer: expected a name for the quantizer given in code, got \"\""
        )
        const config = yield* configOf(scalars([2, 2, 2, 2]))
        const opened = yield* Effect.flip(Tokenizer.open({ config, teacherWidth: 8, tensors: {}, quantizer: signs(4) }))
        assert.include(
          opened.message,
          "\"finiteScalar\" (16 codes of 4 channels). Its configuration describes it. The given one is \"signs\" (16 codes"
        )
      }).pipe(Effect.provide(Runs.layerMemory(), { local: true })))

    it.effect("has a use for k-means with a fit alone, and none for revival", () =>
      Effect.gen(function*() {
        const config = yield* configOf({ size: 16, dim: 4 })
        const refused = yield* Effect.flip(trainTokenizer(config, { quantizer: signs(4) }))
        assert.include(
          refused.message,
          "codebook.kmeans: expected false, because the quantizer \"signs\" has no fit to the first batch"
        )
        assert.include(
          refused.message,
          "codebook.revival: expected null, because the quantizer \"signs\" revives no code"
        )
        const fitting = {
          ...signs(4),
          state: { scale: { shape: [2], dtype: "float32" } },
          fit: { draw: () => ({}), run: () => ({ scale: Tensor.zeros([2]) }) }
        } as const
        yield* trainTokenizer(yield* configOf({ size: 16, dim: 4, revival: null }), { quantizer: fitting })
      }).pipe(Effect.provide(Runs.layerMemory(), { local: true })))

    it.effect("is that of the state which is gone on from", () =>
      Effect.gen(function*() {
        const fresh = Effect.provide(Runs.layerMemory(), { local: true })
        const stateOf = Effect.fnUntraced(
          function*(codebook: Json.Json, step: "newest" | "finished", options: TokenizerOptions = {}) {
            yield* shortly(codebook, { ...options, checkpointEvery: 1 })
            return yield* Continuation.here({ stage: "tokenizer", step, schedule: "anew" })
          },
          fresh
        )
        const refused = Effect.fnUntraced(function*(
          codebook: Json.Json,
          continueFrom: Continuation.Continuation,
          options: TokenizerOptions = {}
        ) {
          return (yield* Effect.flip(shortly(codebook, { ...options, continueFrom }))).message
        }, fresh)
        for (const step of ["newest", "finished"] as const) {
          const said = yield* refused(scalars([2, 4, 2]), yield* stateOf(scalars([4, 2, 2]), step))
          assert.include(
            said,
            "codebook.quantizer: expected the levels 4, 2, 2 of the state that is continued, got the levels 2, 4, 2"
          )
        }
        const scalar = yield* stateOf(scalars([2, 2, 2, 2]), "finished")
        assert.include(
          yield* refused({ size: 16, dim: 4, kmeans: false, revival: null }, scalar, { quantizer: signs(4) }),
          "expected the levels 2, 2, 2, 2 of the state that is continued, got the quantizer \"signs\""
        )
      }), 60_000)

    it.effect("has the sizes of its configuration", () =>
      Effect.gen(function*() {
        const refused = yield* Effect.flip(trainTokenizer(preset.tokenizer, { quantizer: signs(3) }))
        assert.include(refused.message, "codebook.size: expected the 8 codes of the quantizer \"signs\", got 16")
        assert.include(refused.message, "codebook.dim: expected the 3 channels of the quantizer \"signs\", got 8")
      }).pipe(Effect.provide(Runs.layerMemory(), { local: true })))
  })
})

describe("a tokenizer without a codebook", () => {
  layer(machine)((it) => {
    it.effect.each(
      [
        ["finite scalars", "\"finiteScalar\" (16 codes of 3 channels)", "encode images to codes"],
        [
          "a quantizer of one's own",
          "\"signs\" (16 codes of 4 channels)",
          "Artifact.tokenizer(path, { quantizer }), in code"
        ]
      ] as const
    )("is inspected, with %s, as what it is", ([name, quantizer, use]) =>
      Effect.gen(function*() {
        const folder = mkdtempSync(join(tmpdir(), "inspected-"))
        yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
        const [run, hub] = [join(folder, "run"), join(folder, "hub")]
        const tokenizer = yield* Effect.provide(
          shortly(codebooks[name]!.codebook, name === "finite scalars" ? {} : { quantizer: signs(4) }),
          Runs.layer(run, { config: {} }),
          { local: true }
        )
        yield* ModelFolder.write(hub, { _tag: "Tokenizer", ...tokenizer }, { name: "words" })
        const found = yield* inspect(run)
        assert(found._tag === "Run")
        const file = yield* inspect(join(run, "stages", "tokenizer.safetensors"))
        const pushed = yield* inspect(hub)
        assert(file._tag === "Weights" && pushed._tag === "HubFolder")
        assert.deepStrictEqual(found.stages[0]!.weights, file)
        assert.strictEqual(file.looksLike, `a tokenizer with the quantizer ${quantizer}`)
        assert.include(file.uses, use)
        assert.include(pushed.uses, use)
        assert.deepStrictEqual(pushed.model.config, tokenizer.config)
      }).pipe(Effect.provide(NodeServices.layer), Effect.scoped), 60_000)
  })
})

describe("a quantizer that gives something else than it should", () => {
  const { tokenizer } = preset
  const config = new TokenizerConfig({
    ...tokenizer,
    codebook: new CodebookConfig({ ...tokenizer.codebook, size: 16, dim: 4, kmeans: false, revival: null })
  })

  plainly.each<readonly [change: Change, said: string]>([
    [({ codes, losses, z }) => ({ codes, losses, z }), "z_q: expected float32 [128, 4], got nothing"],
    [(given) => ({ ...given, z_q: Tensor.zeros([16, 4]) }), "z_q: expected float32 [128, 4], got float32 [16, 4]"],
    [(given) => ({ ...given, codes: Tensor.zeros([128]) }), "codes: expected int32 [128], got float32 [128]"],
    [(given) => ({ ...given, z: 3 }), "z: expected float32 [128, 4], got no tensor but number"],
    [() => undefined, "z: expected float32 [128, 4], got nothing"],
    [
      (given) => ({ ...given, losses: { far: Tensor.zeros([128]) } }),
      "losses.far: expected float32 [], got float32 [128]"
    ],
    [
      (given) => ({ ...given, losses: { loss: Tensor.zeros([]) } }),
      "losses: expected a name that is not taken, got \"loss\""
    ],
    [
      (given) => ({ ...given, losses: { perplexity: Tensor.zeros([]) } }),
      "losses: expected a name that is not taken, got \"perplexity\""
    ]
  ])("is refused by name: %#", (change, said) => {
    assert.throws(
      () => Trace.trainStep(stepOf(config, 8, odd(change))),
      ShapeError.ShapeError,
      `the quantizer "signs": ${said}`
    )
  })

  const weight = { shape: [16], dtype: "float32" }

  plainly.each<readonly [more: object, said: string]>([
    [{ state: { mean: weight }, update: () => ({}) }, "update: mean: expected float32 [16], got nothing"],
    [{ update: () => ({ mean: Tensor.zeros([16]) }) }, "update: mean: expected nothing, got float32 [16]"],
    [{ draws: { images: weight } }, "draws: expected a name that is not taken, got \"images\""],
    [
      { state: { mean: weight }, parameters: { mean: Parameter.zeros([16]) } },
      "parameters: expected a name that is not taken, got \"mean\""
    ]
  ])("is refused by name beside its codes: %#", (more, said) => {
    assert.throws(
      () => Trace.trainStep(stepOf(config, 8, { ...signs(4), ...more })),
      ShapeError.ShapeError,
      `the quantizer "signs": ${said}`
    )
  })
})

describe("the guide to quantizers and masks", () => {
  plainly("shows the examples", () => {
    const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")
    const shown = Array.from(read("docs/quantizers.md").matchAll(/\n```ts\n([\s\S]*?)```/g), ([, text]) => text)
    assert.deepStrictEqual(shown, [read("examples/ownQuantizer.ts"), read("examples/ownMask.ts")])
  })
})
