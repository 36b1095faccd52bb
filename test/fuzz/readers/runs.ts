/** Readers of what runs leave: run folders, checkpoints, caches of features. */
import { Effect, Option } from "effect"
import { createHash } from "node:crypto"
import * as RunsText from "../../../src/cli/terminal/RunsText.ts"
import * as Json from "../../../src/domain/values/Json.ts"
import * as Checkpoints from "../../../src/layers/run/Checkpoints.ts"
import * as CompletionSample from "../../../src/layers/run/CompletionSample.ts"
import * as Notes from "../../../src/layers/run/Notes.ts"
import * as Results from "../../../src/layers/run/Results.ts"
import * as FeatureCache from "../../../src/layers/teacher/FeatureCache.ts"
import * as HealthFile from "../../../src/pipelines/doctor/HealthFile.ts"
import * as Comparison from "../../../src/pipelines/runs/Comparison.ts"
import * as Registry from "../../../src/pipelines/runs/Registry.ts"
import * as RunCurves from "../../../src/pipelines/runs/RunCurves.ts"
import * as HostTensor from "../../../src/shapes/HostTensor.ts"
import * as Exported from "../../../src/studio/Exported.ts"
import * as atlasSample from "../../e2e/atlasSample.ts"
import * as sample from "../../e2e/sample.ts"
import * as runFolders from "../../pipelines/runFolders.ts"
import type { Files, Reader } from "../Case.ts"
import type { Draw } from "../Draw.ts"
import * as Hostile from "../Hostile.ts"
import * as Mutation from "../Mutation.ts"
import * as Seeds from "./seeds.ts"
import { inspected } from "./weights.ts"

const sha256 = (content: string | Uint8Array): string => createHash("sha256").update(content).digest("hex")

/** Writes a run with all that a run can hold. */
export const makeRun = Effect.fnUntraced(function*(folder: string) {
  const png = (yield* Effect.promise(() => Seeds.png())).toString("base64")
  yield* Effect.sync(() => {
    runFolders.run(folder, {
      "log.jsonl": runFolders.rows([...runFolders.steps("tokenizer", 1, 5), {
        stage: "tokenizer-validation",
        step: 5,
        loss: 1
      }, ...runFolders.steps("pretrain", 1, 5)]),
      "timings.jsonl": runFolders.rows([{
        stage: "pretrain",
        step: 5,
        steps: 5,
        seconds: 2,
        secondsWaitedForData: 0.1,
        batchSize: 16,
        total: 9,
        megabytesOfProcess: 100,
        at: "2026-01-01T00:00:00.000Z"
      }]),
      "results/probe-val-1.json": runFolders.result(),
      "report.json": sample.report,
      "report.html": "<!doctype html><title>report</title>",
      "lock": runFolders.lock(1),
      "stages/tokenizer.json": {},
      "image-lists/train.json": ["a"]
    })
  })
  yield* HealthFile.save(folder, {
    version: 1,
    patchword: "0.1.0",
    stages: [{
      stage: "tokenizer",
      step: 5,
      finished: true,
      figures: [{ name: "usedShare", value: 0.9, on: "8 images of train", healthy: true }],
      findings: [],
      missing: []
    }]
  })
  yield* CompletionSample.save(folder, {
    split: "val",
    images: 1,
    masked: 14,
    patches: 36,
    codeAccuracy: 0.25,
    methods: { completed: { psnr: { mean: 20, interval: [19, 21] }, ssim: { mean: 0.6, interval: [0.5, 0.7] } } },
    side: 48,
    shown: [{ name: "one", original: png, decoded: png, masked: png, completed: png }]
  })
  yield* Notes.tag(folder, ["good"])
  yield* Notes.add(folder, "a note")
  yield* atlasSample.write(folder, [0, 1])
})

const hostileNames = (draw: Draw, files: Files): Files => {
  const name = JSON.stringify(Hostile.name(draw)).slice(1, -1)
  const [from, to] = draw.of(
    [
      ["tokenizer", name],
      ["pretrain", name],
      ["val", name],
      ["loss", name],
      ["a note", name],
      ["good", name],
      ["cat", name],
      ["one", name],
      ["onnx cpu", name],
      ["usedShare", name]
    ] as const
  )
  return Object.fromEntries(
    Object.entries(files).map(([file, content]) => [
      file,
      typeof content === "string"
        ? content.replaceAll(from, () => to)
        : content
    ])
  )
}

/** Changes one file of the run, for most faults need the rest of it. */
const runMade = (draw: Draw, seeds: ReadonlyArray<Files>): Files => {
  const files = draw.of(seeds)
  if (draw.chance(0.3)) return hostileNames(draw, files)
  if (draw.chance(0.2)) {
    const row = `{"stage":${Hostile.json(draw)},"step":${draw.of(Hostile.numbers)},"loss":${draw.of(Hostile.numbers)},${
      JSON.stringify(Hostile.name(draw))
    }:${draw.of(Hostile.numbers)}}`
    const file = draw.of(["log.jsonl", "timings.jsonl"])
    return { ...files, [file]: `${Seeds.textOf(files[file])}${row}\n` }
  }
  const texts = Object.keys(files).filter((name) => typeof files[name] === "string")
  const chosen = draw.of(texts)
  return { ...files, [chosen]: Mutation.json(draw, Seeds.textOf(files[chosen])!) }
}

export const run: Reader = {
  name: "run",
  tests: 25,
  seeds: async () => [
    await Seeds.written(makeRun),
    await Seeds.written((folder) =>
      Effect.sync(() => runFolders.run(folder, { "log.jsonl": runFolders.rows(runFolders.steps("pretrain", 1, 3)) }))
    )
  ],
  make: runMade,
  read: (folder) =>
    Effect.gen(function*() {
      const html = yield* Exported.render([folder])
      const runs = yield* Registry.list([folder])
      const found = yield* Registry.read(folder)
      yield* RunCurves.read(folder)
      yield* RunCurves.speed(folder)
      yield* Effect.ignore(Results.read(`${folder}/results/probe-val-1.json`))
      const compared = Comparison.of([found, found])
      const inspection = yield* Effect.result(inspected(folder))
      const each = yield* Effect.forEach([
        "log.jsonl",
        "report.json",
        "atlas",
        "health.json",
        "completion",
        "notes.jsonl",
        "config.json",
        "environment.json"
      ], (name) => Effect.option(inspected(`${folder}/${name}`)))
      const text = [
        RunsText.list(runs),
        RunsText.show(found),
        RunsText.comparison(compared),
        RunsText.noted(folder, found.tags, found.notes),
        ...each.flatMap(Option.toArray),
        ...(inspection._tag === "Success" ? [inspection.success] : [])
      ].join("\n")
      return { html, text }
    })
}

const tensor = HostTensor.make([2], "float32", Float32Array.of(1, 2))

const STEP = "pretrain/step-00000400"

export const checkpoint: Reader = {
  name: "checkpoint",
  tests: 80,
  seeds: async () => [
    await Seeds.written((folder) =>
      Checkpoints.Checkpoints.use((checkpoints) =>
        checkpoints.save({
          stage: "pretrain",
          config: { optimizer: { lr: 0.003 }, batchSize: 8 },
          dataDigest: "data weights",
          step: 400,
          epoch: 3,
          computedOn: [{ engine: "onnx cpu", version: "1", threads: 2, precision: "fp32", from: 1 }],
          configDigest: "config",
          weights: { "blocks.0.weight": tensor },
          optimizer: { "exp_avg.blocks.0.weight": tensor },
          extra: { codes: [1, 2], best: 0.5 }
        })
      ).pipe(Effect.provide(Checkpoints.layer(folder)))
    )
  ],
  seal: (files) => {
    try {
      const sealed = JSON.parse(Seeds.textOf(files[`${STEP}/state.json`]) ?? "")
      const digests = Object.fromEntries(["weights.safetensors", "optimizer.safetensors"].flatMap((name) => {
        const bytes = Seeds.bytesOf(files[`${STEP}/${name}`])
        return bytes === undefined ? [] : [[name, sha256(bytes)]]
      }))
      const state = { ...sealed.state, files: digests }
      return { ...files, [`${STEP}/state.json`]: JSON.stringify({ sha256: sha256(Json.canonical(state)), state }) }
    } catch {
      return files
    }
  },
  read: (folder) =>
    Effect.gen(function*() {
      const { read, steps } = yield* Checkpoints.reading(folder)
      const inspection = yield* Effect.result(inspected(`${folder}/${STEP}`))
      const whole = yield* Effect.result(inspected(folder))
      for (const step of yield* steps("pretrain")) yield* read("pretrain", step)
      return { text: [inspection, whole].map((one) => one._tag === "Success" ? one.success : "").join("\n") }
    })
}

const about: FeatureCache.About = { teacher: "any", digest: "d", image: [4, 4], tokens: 2, width: 3, dtype: "float32" }
const pictures = HostTensor.make([3, 3, 4, 4], "float32", Float32Array.from({ length: 144 }, (_, i) => i / 144))
const keys = FeatureCache.keys(pictures)

export const cache: Reader = {
  name: "cache",
  tests: 80,
  seeds: async () => [
    await Seeds.written((folder) =>
      Effect.scoped(Effect.flatMap(
        FeatureCache.writer(folder, about, { shardBytes: FeatureCache.bytes({ images: 2, ...about }) }),
        (writer) => writer.append(keys, Float32Array.from({ length: 18 }, (_, i) => i))
      ))
    )
  ],
  seal: (files) => {
    try {
      const manifest = JSON.parse(Seeds.textOf(files["cache.json"]) ?? "")
      const shards = manifest.shards.map((shard: { readonly file: string }) => {
        const bytes = Seeds.bytesOf(files[shard.file])
        return bytes === undefined ? shard : { ...shard, sha256: sha256(bytes) }
      })
      return { ...files, "cache.json": JSON.stringify({ ...manifest, shards }) }
    } catch {
      return files
    }
  },
  read: (folder) =>
    Effect.gen(function*() {
      const inspection = yield* Effect.result(inspected(folder))
      yield* Effect.scoped(Effect.ignore(FeatureCache.reader(folder, { check: "sizes" })))
      const reader = yield* FeatureCache.reader(folder)
      const found = yield* reader.read(keys)
      return {
        ...(inspection._tag === "Success" ? { text: inspection.success } : {}),
        ...(found.length === keys.length * reader.about.tokens * reader.about.width
          ? {}
          : { wrong: "the features have another length" })
      }
    })
}
