import { NodeServices } from "@effect/platform-node"
import { assert, describe, it as plainly, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option, Schema } from "effect"
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import type * as Diagnosis from "../../src/domain/health/Diagnosis.ts"
import { HealthReport, isIll } from "../../src/domain/health/HealthReport.ts"
import * as Codebook from "../../src/domain/method/Codebook.ts"
import * as EffectiveRank from "../../src/domain/method/EffectiveRank.ts"
import * as ImageSet from "../../src/layers/images/reading/ImageSet.ts"
import * as Checkpoints from "../../src/layers/run/Checkpoints.ts"
import { Progress, silent } from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Artifact from "../../src/pipelines/artifacts/Artifact.ts"
import { inspect } from "../../src/pipelines/artifacts/Inspect.ts"
import * as PartProblems from "../../src/pipelines/artifacts/PartProblems.ts"
import { diagnose, diagnoseOn } from "../../src/pipelines/doctor/Diagnose.ts"
import * as HealthFile from "../../src/pipelines/doctor/HealthFile.ts"
import * as HealthView from "../../src/pipelines/doctor/HealthView.ts"
import * as HealthWatch from "../../src/pipelines/doctor/HealthWatch.ts"
import { encode } from "../../src/pipelines/evaluate/Encode.ts"
import { features } from "../../src/pipelines/evaluate/Features.ts"
import { pretrain } from "../../src/pipelines/Pretrain.ts"
import * as Registry from "../../src/pipelines/runs/Registry.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { digestOf } from "../layers/weights/digestOf.ts"
import { machine, micro, set } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-doctor-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)

const preset = micro({ duration: 30, warmup: 3 })
const images = set("val", 40)

const collapsing = {
  ...preset.tokenizer,
  codebook: {
    ...preset.tokenizer.codebook,
    decay: null,
    revival: null,
    kmeans: false,
    quantizer: { kind: "gradient", commitment: 1, l2Normalize: false }
  }
} as const

const runIn = (name: string) =>
  Runs.layer(at(name), { config: { tokenizer: {} } }) as Layer.Layer<Runs.Runs | Checkpoints.Checkpoints>

const trained = Effect.fnUntraced(function*(name: string) {
  yield* Effect.gen(function*() {
    const tokenizer = yield* trainTokenizer(preset.tokenizer, { checkpointEvery: 20 })
    yield* pretrain(preset.pretrain, tokenizer, { checkpointEvery: 20 })
  }).pipe(Effect.provide(runIn(name)))
})

const valueOf = (report: HealthReport, stage: string, name: string): number =>
  report.stages.find((one) => one.stage === stage)!.figures.find((one) => one.name === name)!.value

const codesOf = Effect.fnUntraced(function*(tokenizer: Artifact.Artifact<"Tokenizer">, of: ImageSet.ImageSet) {
  const all: Array<Int32Array> = []
  yield* encode(tokenizer, of, (some) => Effect.sync(() => all.push(...some.map(({ codes }) => codes))))
  return Int32Array.from(all.flatMap((codes) => Array.from(codes)))
})

const read = (name: string, file: string) => readFileSync(at(name, file), "utf8")

afterAll(() => rmSync(folder, { recursive: true, force: true }))

layer(Layer.merge(machine, NodeServices.layer))("the doctor", (it) => {
  it.effect("measures on images what other programs measure", () =>
    Effect.gen(function*() {
      yield* trained("whole")
      const report = yield* diagnoseOn(at("whole"), images)
      assert.deepStrictEqual(report.stages.map(({ finished, stage, step }) => [stage, step, finished]), [
        ["tokenizer", 30, true],
        ["pretrain", 30, true]
      ])
      const tokenizer = yield* Artifact.tokenizer(at("whole"))
      const codes = yield* codesOf(tokenizer, images)
      const counts = Codebook.count(codes, 16)
      assert.strictEqual(valueOf(report, "tokenizer", "usedShare"), Codebook.usage(counts) / 16)
      assert.strictEqual(valueOf(report, "tokenizer", "deadCodes"), Codebook.dead(counts).length)
      assert.closeTo(valueOf(report, "tokenizer", "perplexityShare"), Codebook.perplexity(counts) / 16, 1e-12)

      const checkpoints = yield* Checkpoints.reading(at("whole", "checkpoints"))
      const { weights } = yield* checkpoints.read("tokenizer", 20)
      const tensors = Object.fromEntries(
        Object.entries(weights).map(([name, tensor]) => [name.replace(/^parameters\./, ""), tensor])
      )
      const { changed } = Codebook.churn(yield* codesOf({ ...tokenizer, tensors }, images), codes)
      assert.strictEqual(valueOf(report, "tokenizer", "churn"), changed)

      const backbone = yield* Artifact.backbone(at("whole"))
      const [found] = yield* features(backbone, [images], { pooling: "cls", finalNorm: true })
      const { data, shape: [rows, width] } = found!.features
      const units = Array.from({ length: rows }, (_, row) => {
        const one = Array.from(data.subarray(row * width, (row + 1) * width))
        return one.map((value) => value / Math.hypot(...one))
      })
      const pairs = units.flatMap((a, i) =>
        units.slice(i + 1).map((b) => a.reduce((sum, value, c) => sum + value * b[c]!, 0))
      )
      const mean = pairs.reduce((sum, one) => sum + one, 0) / pairs.length
      assert.closeTo(valueOf(report, "pretrain", "tokenSimilarity"), mean, 1e-5)
      const gram = EffectiveRank.begin(width)
      EffectiveRank.add(gram, data)
      assert.strictEqual(valueOf(report, "pretrain", "featureRank"), EffectiveRank.of(gram) / Math.min(width, rows))

      const kept = yield* HealthFile.read(at("whole"))
      assert.deepStrictEqual(Option.getOrThrow(kept), report)
      assert.strictEqual((yield* inspect(at("whole", "health.json")))._tag, "RunFile")
      const { stages } = Schema.decodeUnknownSync(HealthReport)(JSON.parse(read("whole", "health.json")))
      assert.lengthOf(stages, 2)
      const on = (name: string) => stages[0]!.figures.find((one) => one.name === name)!.on
      assert.deepStrictEqual(["cosine", "cosineLost", "gradientGrowth"].map(on), [
        "steps 26 to 30 of the log",
        "steps 1 to 30 of the log",
        "steps 7 to 12 and steps 25 to 30 of the log"
      ])
      assert.strictEqual(stages[0]!.weights, digestOf(tokenizer.tensors))
    }), 60_000)

  it.effect("gives the same figures in batches of any images, spread over the set", () =>
    Effect.gen(function*() {
      const some = ImageSet.subset(images, [0, 10, 20, 30])
      const [all, few] = [yield* diagnoseOn(at("whole"), some), yield* diagnoseOn(at("whole"), images, { most: 4 })]
      assert.deepStrictEqual(few.stages.map(({ figures }) => figures), all.stages.map(({ figures }) => figures))
      assert.deepStrictEqual([few.images?.images, few.images?.of], [4, 40])
    }), 60_000)

  it.effect("says without images what it could not measure", () =>
    Effect.gen(function*() {
      const report = yield* diagnose(at("whole"))
      const [tokenizer] = report.stages
      const names = tokenizer!.figures.map(({ name }) => name)
      assert.includeMembers(names, [
        "usedShare",
        "perplexityShare",
        "stillShare",
        "codebookRank",
        "batchUsage",
        "cosine"
      ])
      const [images] = tokenizer!.missing
      assert.strictEqual(images!.why, "these need images (--images)")
      assert.deepStrictEqual(images!.figures, [
        "churn",
        "norm",
        "normSpread",
        "quantizationError",
        "positionShare",
        "positionPerplexity",
        "vectorRank"
      ])
      assert.isUndefined(report.images)
    }))

  it.effect(
    "examines a run at work by its checkpoints, up to a line that is half written",
    () =>
      Effect.gen(function*() {
        const reached = yield* Deferred.make<void>()
        const progress = {
          ...silent,
          report: ({ step }: { readonly step: number }) =>
            step === 25 ? Deferred.succeed(reached, undefined) : Effect.void
        }
        const fiber = yield* trainTokenizer(preset.tokenizer, { checkpointEvery: 10 }).pipe(
          Effect.provideService(Progress, progress as never),
          Effect.provide(runIn("begun")),
          Effect.forkChild
        )
        yield* Deferred.await(reached)
        yield* Fiber.interrupt(fiber)
        appendFileSync(at("begun", "log.jsonl"), "{\"stage\":\"tokenizer\",\"st")
        const [tokenizer] = (yield* diagnoseOn(at("begun"), images)).stages
        assert.isFalse(tokenizer!.finished)
        assert.isAtLeast(tokenizer!.step, 25)
        assert.includeMembers(tokenizer!.figures.map(({ name }) => name), ["churn", "norm", "usedShare"])

        const told = Effect.gen(function*() {
          return (yield* PartProblems.of(yield* Registry.read(at("begun")))).join("; ")
        })
        assert.strictEqual(yield* told, "")
        yield* trainTokenizer(preset.tokenizer, { checkpointEvery: 10 }).pipe(Effect.provide(runIn("begun")))
        assert.match(
          yield* told,
          /^the health of tokenizer is of step \d+; the stage is finished now, at step 30\. patchword doctor \S+ examines it again$/
        )
        yield* diagnose(at("begun"))
        assert.strictEqual(yield* told, "")
        const weights = yield* Weights.read(at("begun", "stages", "tokenizer.safetensors"))
        const { "encoder.cls_token": first, ...others } = weights.tensors
        const tensors = { ...others, "encoder.cls_token": { ...first!, data: first!.data.map((one) => one + 1) } }
        yield* Weights.write(at("begun", "stages", "tokenizer.safetensors"), { ...weights, tensors } as typeof weights)
        assert.match(
          yield* told,
          /of step 30 and of other weights than the run has now, at step 30 \(SHA-256 \w{12}; now \w{12}\)/
        )

        writeFileSync(at("begun", "log.jsonl"), "{\"stage\":\n{\"stage\":\"tokenizer\",\"step\":1}\n")
        const error = yield* Effect.flip(diagnose(at("begun")))
        assert.match(error.message, /log\.jsonl is damaged \(line 1/)
      }),
    60_000
  )

  it.effect("finds a codebook without l2 normalisation, in the run and while it trains", () =>
    Effect.gen(function*() {
      const warned: Array<HealthWatch.Warning> = []
      const watch = { warn: (warning: HealthWatch.Warning) => Effect.sync(() => void warned.push(warning)) }
      const config = {
        ...collapsing,
        codebook: { ...collapsing.codebook, size: 64 },
        optimizer: { ...collapsing.optimizer, duration: 60, warmup: 3 }
      }
      yield* trainTokenizer(config, {}).pipe(
        Effect.provideService(HealthWatch.HealthWatch, watch),
        Effect.provide(runIn("plain"))
      )
      for (const report of [yield* diagnose(at("plain")), yield* diagnoseOn(at("plain"), images)]) {
        assert.isTrue(isIll(report))
        assert.strictEqual(report.stages[0]!.findings[0]!.illness, "collapseWithoutNormalisation")
      }
      assert.deepStrictEqual(warned.map(({ finding }) => finding.illness), ["collapseWithoutNormalisation"])
    }), 60_000)

  it.effect("finds a network that guesses where the tokenizer is in another folder", () =>
    Effect.gen(function*() {
      cpSync(at("whole"), at("alone"), { recursive: true })
      for (const place of ["stages/tokenizer.safetensors", "stages/tokenizer.json", "checkpoints/tokenizer"]) {
        rmSync(at("alone", place), { recursive: true, force: true })
      }
      const illnesses = Effect.fnUntraced(function*(loss: number, accuracy: number) {
        const row = (step: number) => JSON.stringify({ stage: "pretrain", step, loss_1: loss, accuracy_1: accuracy })
        writeFileSync(at("alone", "log.jsonl"), Array.from({ length: 100 }, (_, i) => `${row(i + 1)}\n`).join(""))
        return (yield* diagnose(at("alone"))).stages.map(({ findings }) => findings.map(({ illness }) => illness))
      })
      assert.deepStrictEqual(yield* illnesses(Math.log(16) + 0.03, 0.2), [["guessing"]])
      assert.deepStrictEqual(yield* illnesses(0.9 * Math.log(16), 0.08), [["guessing"]])
      assert.deepStrictEqual(yield* illnesses(0.9 * Math.log(16), 0.2), [[]])
    }))

  it.effect(
    "takes the codes of no tokenizer but the one that the network was trained on",
    () =>
      Effect.gen(function*() {
        cpSync(at("whole"), at("mixed"), { recursive: true })
        const row = (step: number) => JSON.stringify({ stage: "pretrain", step, loss_1: 2.4, accuracy_1: 0.2 })
        writeFileSync(at("mixed", "log.jsonl"), Array.from({ length: 100 }, (_, i) => `${row(i + 1)}\n`).join(""))
        const ofNetwork = Effect.map(
          diagnose(at("mixed")),
          ({ stages }) => stages.find(({ stage }) => stage === "pretrain")!
        )
        const own = yield* ofNetwork
        assert.deepStrictEqual(own.notes, [
          "the weights are of step 30, and the log ends at step 100: figures of the two are of different states"
        ])
        const overEntropy = (health: typeof own) => health.figures.find(({ name }) => name === "lossOverEntropy")!
        assert.strictEqual(overEntropy(own).on, "steps 91 to 100 of the log")

        const file = at("mixed", "stages", "tokenizer.safetensors")
        const weights = yield* Weights.read(file)
        const counts = weights.tensors["quantize.cluster_size"]!
        const tensors = {
          ...weights.tensors,
          "quantize.cluster_size": { ...counts, data: counts.data.map((_, code) => (code < 2 ? 8 : 0)) }
        }
        const before = digestOf(weights.tensors)
        yield* Weights.write(file, { ...weights, tensors } as typeof weights)
        const other = yield* ofNetwork
        assert.deepStrictEqual([other.findings, overEntropy(other).on], [[], "steps 91 to 100 of the log, even codes"])
        assert.closeTo(overEntropy(other).value, 2.4 / Math.log(16), 1e-12)
        assert.strictEqual(
          other.notes![0],
          `the run does not have the tokenizer that the network was trained on (SHA-256 ${
            before.slice(0, 12)
          }; the run has ` +
            `tokenizer ${digestOf(tensors as typeof weights.tensors).slice(0, 12)}), so its codes count as evenly used`
        )

        const said: Array<string> = []
        const message = (text: string) => Effect.sync(() => void said.push(text))
        const tokenizer = yield* Artifact.tokenizer(at("whole"))
        yield* pretrain(preset.pretrain, tokenizer, {}).pipe(
          Effect.provideService(Progress, { ...silent, message }),
          Effect.provide(runIn("mixed"))
        )
        assert.match(
          said[0]!,
          /^pretrain: the tokenizer that was given is not the one of the run \(SHA-256 \w{12}; that of/
        )
      }),
    60_000
  )

  it.effect("refuses what is no run, an empty one, and a damaged report", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Effect.flip(diagnose(at("none"))))._tag, "NoRun")
      cpSync(at("whole", "config.json"), at("bare", "config.json"))
      assert.strictEqual((yield* Effect.flip(diagnose(at("bare"))))._tag, "NothingToExamine")
      assert.isTrue(Option.isNone(yield* HealthFile.read(at("bare"))))
      writeFileSync(at("bare", "health.json"), "{\"version\":2}")
      const error = yield* Effect.flip(HealthFile.read(at("bare")))
      assert.match(error.message, /health\.json is damaged/)
      const weights = yield* Weights.read(at("whole", "stages", "tokenizer.safetensors"))
      const { "encoder.cls_token": _, ...others } = weights.tensors
      const { provenance } = weights
      yield* Weights.write(at("bare", "stages", "tokenizer.safetensors"), { tensors: others, provenance })
      assert.match((yield* Effect.flip(diagnose(at("bare")))).message, /encoder\.cls_token/)
    }))
})

const length = { total: 400, warmup: 10 }

describe("the watch", () => {
  const warnings = Effect.fnUntraced(function*(steps: Effect.Effect<void>) {
    const warned: Array<readonly [number, Diagnosis.Illness]> = []
    const warn = ({ finding, step }: HealthWatch.Warning) =>
      Effect.sync(() => void warned.push([step, finding.illness]))
    yield* Effect.provideService(steps, HealthWatch.HealthWatch, { warn })
    return warned
  })
  const steps = <T>(watch: (taken: T) => Effect.Effect<void>, taken: (step: number) => T) =>
    Effect.forEach(
      Array.from({ length: length.total }, (_, i) => i + 1),
      (step) => watch(taken(step)),
      { discard: true }
    )
  const counts = (used: number) => Float32Array.from({ length: 16 }, (_, code) => code < used ? 8 : 0)

  plainly.effect("is quiet at the beginning, and says each illness once", () =>
    Effect.gen(function*() {
      const make = () => HealthWatch.ofTokenizer("tokenizer", preset.tokenizer, length)
      const taken = (step: number) => ({ step, counts: counts(1), cosine: 0.5, gradientNorm: 1 })
      assert.deepStrictEqual(yield* warnings(steps(make(), taken)), [[110, "collapse"]])
      const early = (step: number) => ({ ...taken(step), counts: counts(step <= 90 ? 1 : 16) })
      assert.deepStrictEqual(yield* warnings(steps(make(), early)), [])
      const worse = (step: number) => ({ ...taken(step), counts: counts(16), cosine: step > 300 ? 0.1 : 0.5 })
      assert.deepStrictEqual(yield* warnings(steps(make(), worse)), [[310, "unstable"]])
      const learned = (cosine: (step: number) => number) => {
        const low = (step: number) => ({ ...taken(step), counts: counts(16), cosine: cosine(step) })
        return warnings(steps(make(), low))
      }
      assert.deepStrictEqual(yield* learned(() => 0.05), [[170, "learnedNothing"]])
      assert.deepStrictEqual(yield* learned((step) => step / 1000 - 0.02), [])
      assert.deepStrictEqual(yield* learned((step) => step < 200 ? step / 400 - 0.3 : 0.3), [])
    }))

  plainly.effect("compares the loss of pretraining with the entropy of its codes", () =>
    Effect.gen(function*() {
      const make = () => HealthWatch.ofBackbone("pretrain", preset.pretrain, 16, length)
      const labels = Int32Array.from({ length: 160 }, (_, i) => i % 16)
      const guessing = (step: number) => ({ step, labels, loss: Math.log(16), accuracy: 1 / 16 })
      assert.deepStrictEqual(yield* warnings(steps(make(), guessing)), [[190, "guessing"]])
      const learning = (step: number) => ({ step, labels, loss: 0.8 * Math.log(16), accuracy: 0.2 })
      assert.deepStrictEqual(yield* warnings(steps(make(), learning)), [])
      const same = (step: number) => ({ ...learning(step), accuracy: 1 / 16 })
      assert.deepStrictEqual(yield* warnings(steps(make(), same)), [[190, "guessing"]])
    }))

  plainly.effect("is a message of the progress, with the first change", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      const progress = { ...silent, message: (text: string) => Effect.sync(() => void said.push(text)) }
      const watch = HealthWatch.ofTokenizer("tokenizer", preset.tokenizer, length)
      yield* Effect.provideService(
        steps(watch, (step) => ({ step, counts: counts(1), cosine: 0.5, gradientNorm: 1 })),
        Progress,
        progress
      )
      assert.lengthOf(said, 1)
      assert.match(said[0]!, /^tokenizer: at step 110, most of the codebook is not used \(used codes: 6\.25 %/)
    }))
})

describe("the view", () => {
  plainly("shows findings in their order, and no text as markup", () => {
    const finding = (title: string) =>
      ({ illness: "collapse", title, cause: "<b>", evidence: ["e"], change: ["c"] }) as const
    const { html } = HealthView.render({
      version: 1,
      patchword: "0",
      stages: [{
        stage: "<i>",
        step: 3,
        finished: true,
        figures: [{ name: "usedShare", value: 0.1, on: "<u>", healthy: false }],
        findings: [finding("first"), finding("second")],
        missing: [{ figures: ["churn"], why: "<s>" }]
      }]
    })
    assert.isBelow(html.indexOf("first"), html.indexOf("second"))
    assert.notMatch(html, /<[bius]>/)
    assert.match(html, /<tr class="ill">/)
    assert.include(html, "&lt;i&gt;")
  })
})
