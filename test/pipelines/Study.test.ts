import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { Preset } from "../../src/domain/config/Preset.ts"
import * as Ablation from "../../src/domain/study/Ablation.ts"
import * as StudyReport from "../../src/domain/study/StudyReport.ts"
import { Images } from "../../src/layers/images/Images.ts"
import { Progress } from "../../src/layers/run/Progress.ts"
import * as Results from "../../src/layers/run/Results.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Teacher from "../../src/layers/teacher/Teacher.ts"
import * as Artifact from "../../src/pipelines/artifacts/Artifact.ts"
import { evaluateTokenizer, measureTokenizer } from "../../src/pipelines/evaluate/Evaluate.ts"
import { study, type StudyOptions } from "../../src/pipelines/study/Study.ts"
import { machine, micro, recording, teacher } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-study-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)

const preset = micro({ duration: 2, warmup: 0 })

const hog = {
  name: "hog",
  kind: "hog",
  layer: ({ tokenizer: { augment, encoder: { imageSize, patchSize } } }: Preset) =>
    Teacher.layerHog({ patchSize, imageSize, components: 8, fitOn: 16, seed: 0, augment })
}

const options = { seeds: [0], teachers: [hog], checkpointEvery: 1 }

const run = (
  table: Ablation.Ablation,
  given: Partial<StudyOptions<Teacher.TeacherError>> & { readonly out: string }
) => {
  const seen: Array<string> = []
  return study(table, preset, { ...options, ...given }).pipe(
    Effect.provideService(Progress, recording(seen)),
    Effect.map((report) => ({ report, seen }))
  )
}

const tables = (name: string) =>
  ["json", "csv", "html"].map((ending) => readFileSync(at(name, `table5.${ending}`), "utf8"))

describe("a study", () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  layer(machine)((it) => {
    it.effect("trains what rows share once, and measures every row", () =>
      Effect.gen(function*() {
        const out = at("one")
        const rows = ["none", "shared", "early"]
        const { report, seen } = yield* run(Ablation.table5, { out, rows })
        const names = readdirSync(at("one", "runs"))
        const count = (stage: string) => names.filter((name) => name.startsWith(`${stage}-`)).length
        // In networks of two blocks the early layer is the default one, and so is the late one.
        assert.deepStrictEqual([count("tokenizer"), count("pretrain"), count("finetune")], [1, 2, 2])
        assert.strictEqual(seen.filter((line) => line.startsWith("tokenizer ")).length, 2)
        for (const { figures, row } of report.rows) {
          const isMeasured = [...rows, "late"].includes(row)
          for (const { mean } of Object.values(figures)) {
            assert.strictEqual(mean !== null && mean >= 0 && mean <= 100, isMeasured, row)
          }
        }
        const of = (name: string) => report.rows.find(({ row }) => row === name)!
        assert.deepStrictEqual(of("early").figures.probe!.values, of("shared").figures.probe!.values)
        assert.strictEqual(of("early").figures.probe!.difference, 0)
        assert.strictEqual(of("none").figures.probe!.paper, 77.9)
        const [json, csv, html] = tables("one")
        assert.deepStrictEqual(JSON.parse(json!), report)
        assert.strictEqual(csv, StudyReport.csv(report))
        assert.include(html!, "l=9, depth 2, head shared")
        const results = yield* Effect.forEach(names, (name) => Results.read(at("one", "runs", name)))
        assert.strictEqual(results.flat().filter(({ verb }) => verb === "finetune").length, 2)

        const { knn, probe } = Schema.encodeSync(Preset)(preset)
        for (const name of names) {
          const kept = JSON.parse(readFileSync(at("one", "runs", name, "config.json"), "utf8"))
          const pooling = kept.pretrain === undefined
            ? probe.pooling
            : kept.pretrain.aggregation === null
            ? "mean"
            : "cls"
          assert.deepStrictEqual([kept.knn, kept.probe], [knn, { ...probe, pooling }])
        }

        const again = yield* run(Ablation.table5, { out, rows })
        assert.deepStrictEqual(again, { report, seen: [] })
        assert.deepStrictEqual(tables("one"), [json, csv, html])

        const begun = yield* run(Ablation.table5, { out: at("two"), rows: ["none"] })
        assert.deepStrictEqual(
          begun.report.rows.map(({ figures }) => figures.finetune!.mean === null),
          [false, true, true, true, true, true, true]
        )
        const reached = yield* Deferred.make<void>()
        const parts = new Set<string>()
        const fiber = yield* study(Ablation.table5, preset, { ...options, out: at("two"), rows }).pipe(
          Effect.provideService(
            Progress,
            recording([], ({ part, stage, step }) => {
              parts.add(`${part?.number} of ${part?.total}: ${part?.name}`)
              return stage === "pretrain" && step === 1 ? Deferred.succeed(reached, undefined) : Effect.void
            })
          ),
          Effect.forkChild
        )
        yield* Deferred.await(reached)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual([...parts], ["2 of 3: table5/shared, seed 0"])
        for (const held of [at("two"), ...readdirSync(at("two", "runs")).map((name) => at("two", "runs", name))]) {
          writeFileSync(join(held, "lock"), JSON.stringify({ pid: 1, host: "elsewhere", started: null }))
        }
        yield* Effect.provideService(run(Ablation.table5, { out: at("two"), rows }), Runs.TakeOver, true)
        assert.deepStrictEqual(tables("two"), [json, csv, html])
        assert.deepStrictEqual(readdirSync(at("two", "runs")), names)
        for (const name of names) {
          const [stage] = name.split("-")
          const [a, b] = ["one", "two"].map((study) =>
            readFileSync(at(study, "runs", name, "stages", `${stage}.safetensors`))
          )
          assert.isTrue(a!.equals(b!), name)
        }
      }).pipe(Effect.provide(NodeServices.layer)), 120_000)

    it.effect("measures tokenizers, with cached features as without", () =>
      Effect.gen(function*() {
        const given = { rows: ["small"], seeds: [3] }
        const { report } = yield* run(Ablation.table4, { ...given, out: at("plain") })
        const cached = yield* run(Ablation.table4, { ...given, out: at("cached"), cache: true })
        assert.deepStrictEqual(cached.report, report)
        const { reconstruction, usage } = report.rows[0]!.figures
        assert.isTrue(reconstruction!.mean! > 0 && reconstruction!.mean! < 2)
        assert.isTrue(usage!.mean! > 0 && usage!.mean! <= 100)
        assert.strictEqual(reconstruction!.note, null)
        const name = readdirSync(at("plain", "runs")).find((name) => name.startsWith("tokenizer-"))
        const tokenizer = yield* Artifact.tokenizer(at("plain", "runs", name!))
        const set = yield* (yield* Images).load("val")
        const { images, ...figures } = yield* Effect.provide(evaluateTokenizer(tokenizer, set), teacher)
        assert.deepStrictEqual(yield* Effect.provide(measureTokenizer(tokenizer, set), teacher), figures)
        const used = new Set(images.flatMap(({ codes }) => [...codes])).size
        assert.strictEqual(figures.usedShare, used / tokenizer.config.codebook.size)
        assert.closeTo(figures.reconstruction, 1 - figures.cosine, 1e-12)
      }).pipe(Effect.provide(NodeServices.layer)), 120_000)

    it.effect("fine-tunes the tokenizer's encoder beside the network", () =>
      Effect.gen(function*() {
        const { report } = yield* run(Ablation.table6, { out: at("six"), seeds: [0] })
        assert.deepStrictEqual(report.rows.map(({ row }) => row), ["target-hog", "encoder-hog"])
        assert.isTrue(report.rows.every(({ figures }) => figures.finetune!.mean !== null))
      }), 120_000)

    it.effect("refuses other bases, unknown rows, and rows that do not fit", () =>
      Effect.gen(function*() {
        const refused = (given: Partial<StudyOptions<Teacher.TeacherError>>, base = preset) =>
          Effect.map(
            Effect.flip(study(Ablation.table4, base, { ...options, out: at("refused"), ...given })),
            ({ message }) => message
          )
        assert.include(yield* refused({ rows: ["smal"] }), "expected one of the rows small, base-1")
        assert.include(yield* refused({ seeds: [1, 1] }), "expected whole numbers, each once, got 1, 1")
        const odd = {
          ...preset,
          tokenizer: { ...preset.tokenizer, codebook: { ...preset.tokenizer.codebook, dim: 3 } }
        }
        assert.match(
          yield* refused({ rows: ["half-dim"] }, odd as Preset),
          /the row half-dim: tokenizer\.codebook\.dim/
        )
        assert.isFalse(readdirSync(folder).includes("refused"))
        writeFileSync(at("file"), "")
        assert.include(yield* refused({ out: at("file") }), "file")
        yield* run(Ablation.table5, { out: at("other"), rows: ["none"], seeds: [0] })
        const longer = micro({ duration: 3, warmup: 0 })
        assert.include(yield* refused({ out: at("other") }, longer), "tokenizer.optimizer.duration")
      }), 120_000)
  })
})
