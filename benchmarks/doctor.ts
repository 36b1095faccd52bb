/**
 * The verdicts of the doctor over tokenizers and pretrained networks that are healthy, and ill on purpose:
 * `npm run bench -- doctor [--seeds 10] [--steps 100] [--kinds healthy,plain,batch] [--network small|tiny]`.
 *
 * * `healthy`: the preset tiny;
 * * `plain`: plain VQ without l2 normalisation;
 * * `batch`: k-means off, no revival, and batches of two images;
 * * `revived`: k-means off and batches of two images, with the revival of the preset, which keeps them healthy;
 * * `gradient`: codes that learn by gradient on the unit sphere;
 * * `published`: the preset tiny without revival, as the published method;
 * * `random`: the preset tiny without k-means;
 * * `learning`: a network of three blocks of width 64, pretrained for 250 steps on the codes of `healthy`;
 * * `mean`: the same without patch aggregation;
 * * `fast`, `slow`: the same with a hundred times the learning rate, and with a millionth of it.
 *
 * `small` is an encoder of one block of width 64 in place of the preset's three of width 128. Each run is trained on emoji for a short
 * time in a folder of its own, `batch` and `revived` three times as long as the others. It is diagnosed without images, on images, and by the watch of
 * its training. The benchmark prints a line of JSON for each run, and ends with 1 if a healthy run is accused or an ill one gets another
 * first cause.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as Preset from "../src/domain/config/Preset.ts"
import { tiny } from "../src/domain/config/presets/Presets.ts"
import type * as Diagnosis from "../src/domain/health/Diagnosis.ts"
import type { HealthReport } from "../src/domain/health/HealthReport.ts"
import * as Engine from "../src/layers/engine/Engine.ts"
import * as Images from "../src/layers/images/Images.ts"
import * as Runs from "../src/layers/run/Runs.ts"
import * as Teacher from "../src/layers/teacher/Teacher.ts"
import { diagnose, diagnoseOn } from "../src/pipelines/doctor/Diagnose.ts"
import { HealthWatch } from "../src/pipelines/doctor/HealthWatch.ts"
import { pretrain } from "../src/pipelines/Pretrain.ts"
import { trainTokenizer } from "../src/pipelines/TrainTokenizer.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "10" },
    first: { type: "string", default: "0" },
    steps: { type: "string", default: "100" },
    kinds: { type: "string", default: "healthy,plain,batch" },
    network: { type: "string", default: "small" }
  }
})

const backbone = {
  vit: { width: 64, depth: 3, heads: 2 },
  aggregation: { earlyLayer: 2 },
  optimizer: { unit: "steps", duration: 250, warmup: 20 }
} as const

const small = { encoder: { width: 64, depth: 1, heads: 2 } } as const

interface Kind {
  readonly changes: Preset.Changes["tokenizer"]
  /** The changes of the pretraining that follows, which is then the one that is judged. */
  readonly pretrain?: Preset.Changes["pretrain"]
  /** The steps of such a run in relation to others, since those with few images are short. */
  readonly longer?: number
  /** The first illness that is right; undefined for a healthy run. */
  readonly illness: Diagnosis.Illness | undefined
}

const { lr } = tiny.pretrain.optimizer

const kinds: Readonly<Record<string, Kind>> = {
  healthy: { changes: {}, illness: undefined },
  plain: {
    changes: {
      codebook: {
        decay: null,
        revival: null,
        kmeans: false,
        quantizer: { kind: "gradient", commitment: 1, l2Normalize: false }
      }
    },
    illness: "collapseWithoutNormalisation"
  },
  batch: {
    changes: { codebook: { kmeans: false, revival: null }, optimizer: { batchSize: 2 } },
    longer: 3,
    illness: "collapseOfTinyBatch"
  },
  revived: {
    changes: { codebook: { kmeans: false }, optimizer: { batchSize: 2 } },
    longer: 3,
    illness: undefined
  },
  gradient: {
    changes: { codebook: { decay: null, revival: null, quantizer: { kind: "gradient", commitment: 1 } } },
    illness: undefined
  },
  published: { changes: { codebook: { revival: null } }, illness: undefined },
  random: { changes: { codebook: { kmeans: false } }, illness: undefined },
  learning: { changes: {}, pretrain: {}, illness: undefined },
  mean: { changes: {}, pretrain: { aggregation: null }, illness: undefined },
  fast: { changes: {}, pretrain: { optimizer: { lr: 100 * lr } }, illness: "guessing" },
  slow: { changes: {}, pretrain: { optimizer: { lr: lr / 1e6, minLr: lr / 1e6 } }, illness: "guessing" }
}

const { augment, encoder: { imageSize, patchSize } } = tiny.tokenizer

const verdict = ({ stages }: HealthReport): string =>
  stages.at(-1)!.findings.map(({ illness }) => illness).join(", ") || "healthy"

const figures = ({ stages }: HealthReport) =>
  Object.fromEntries(stages.at(-1)!.figures.map(({ name, value }) => [name, Number(value.toPrecision(3))]))

const one = Effect.fnUntraced(
  function*(name: string, { changes, illness, longer = 1, pretrain: after }: Kind, seed: number) {
    const folder = mkdtempSync(join(tmpdir(), "patchword-doctor-"))
    const run = join(folder, "run")
    const steps = Number(values.steps) * longer
    const length = { unit: "steps", duration: steps, warmup: Math.ceil(steps / 12) } as const
    const network = values.network === "small" ? small : {}
    const both = yield* Preset.with(tiny, { tokenizer: { ...network, seed, optimizer: length } })
    const { pretrain: second, tokenizer } = yield* Preset.with(
      yield* Preset.with(both, { tokenizer: changes, pretrain: backbone }),
      { pretrain: { seed, ...after } }
    )
    const warned: Array<string> = []
    const watch = {
      warn: ({ finding, step }: { finding: Diagnosis.Finding; step: number }) =>
        Effect.sync(() => void warned.push(`${finding.illness} at ${step}`))
    }
    const began = performance.now()
    yield* Effect.gen(function*() {
      const trained = yield* trainTokenizer(tokenizer, { checkpointEvery: Math.ceil(steps * 2 / 3) })
      if (after !== undefined) yield* pretrain(second, trained)
    }).pipe(
      Effect.provideService(HealthWatch, watch),
      Effect.provide(Runs.layer(run, { config: { tokenizer: {} } }))
    )
    const seconds = Number(((performance.now() - began) / 1000).toFixed(1))
    const without = yield* diagnose(run)
    const on = yield* diagnoseOn(run, yield* (yield* Images.Images).load("in-new"))
    rmSync(folder, { recursive: true })
    const verdicts = [without, on].map(verdict)
    const firsts = [without, on].map(({ stages }) => stages.at(-1)!.findings[0]?.illness)
    const isRight = firsts.every((first) => first === illness) &&
      (warned[0]?.split(" ", 1)[0] === illness || warned.length === 0 && illness === undefined)
    process.stdout.write(
      `${
        JSON.stringify({
          kind: name,
          seed,
          isRight,
          seconds,
          without: verdicts[0],
          on: verdicts[1],
          warned,
          figures: figures(on),
          log: figures(without)
        })
      }\n`
    )
    return isRight
  }
)

const wanted = values.kinds.split(",")
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => i + Number(values.first))
const images = Layer.fresh(Images.layerEmoji())
const teacher = Teacher.layerHog({ patchSize, imageSize, seed: 0, augment })

const all = Effect.forEach(wanted, (name) => Effect.forEach(seeds, (seed) => one(name, kinds[name]!, seed))).pipe(
  Effect.provide(
    Layer.mergeAll(Engine.layerOnnx(), teacher, NodeServices.layer).pipe(Layer.provideMerge(images))
  )
)

const right = (await Effect.runPromise(all)).map((each) => each.filter(Boolean).length)
wanted.forEach((name, i) => process.stdout.write(`${name}: ${right[i]} of ${seeds.length} right\n`))
process.exitCode = right.every((count) => count === seeds.length) ? 0 : 1
