import * as DemoExpectations from "../../src/domain/evaluation/DemoExpectations.ts"
import { Report } from "../../src/domain/evaluation/Report.ts"
import type { Picture } from "../../src/domain/pixels/Picture.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Patches from "../../src/pipelines/atlas/Patches.ts"
import type { CodedImage, Curve, MaskedImage, PageData } from "../../src/pipelines/report/ReportPage.ts"

const random = KeyedRandom.generator({ seed: 7, purpose: "sample", epoch: 0, index: 0 })

const scores = (
  probe: readonly [number, number],
  knn: readonly [number, number],
  tuned: readonly [number, number]
) => ({
  probe: { random: probe[0], tokenizer: (probe[0] + probe[1]) / 2, pretrained: probe[1] },
  knn: { random: knn[0], pretrained: knn[1] },
  finetune: { random: tuned[0], pretrained: tuned[1] }
})

const band = (stage: string, metric: string, at: ReadonlyArray<readonly [number, number]>, width: number) => ({
  stage,
  metric,
  points: at.map(([step, value]) => ({ step, low: value * (1 - width), high: value * (1 + width) }))
})

export const hostile = `<script>alert("class")</script>`

export const report: Report = {
  preset: "tiny",
  seed: 0,
  engine: "onnx cpu",
  tokenizer: { cosine: 0.552, usage: 240, codebookSize: 256, perplexity: 163.2 },
  pretrain: { maskedAccuracy: 0.212, majority: 0.04, steps: 1100, loss: 3.47 },
  ...scores([0.36, 0.452], [0.369, 0.461], [0.423, 0.492]),
  rendition: {
    flat: scores([0.336, 0.438], [0.349, 0.417], [0.383, 0.485]),
    "3d": scores([0.332, 0.447], [0.255, 0.391], [0.383, 0.409])
  },
  renditionSeen: {
    flat: scores([0.321, 0.453], [0.375, 0.459], [0.394, 0.456]),
    "3d": scores([0.369, 0.435], [0.273, 0.421], [0.357, 0.429])
  },
  majority: 0.193,
  classes: [
    "Smileys & Emotion",
    "People & Body",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Activities",
    "Objects",
    hostile
  ],
  counts: {
    train: 3958,
    val: 592,
    "in-new": 987,
    "flat-new": 291,
    "3d-new": 239,
    "flat-seen": 1160,
    "3d-seen": 1098
  },
  seconds: {
    images: 41.2,
    teacher: 6.3,
    tokenizer: 52.8,
    codes: 0.4,
    pretrain: 231.4,
    probe: 8.9,
    "fine-tune": 68.3
  },
  expected: {
    figures: [...DemoExpectations.figures, {
      figure: "rendition.3d.finetune.pretrained",
      above: "rendition.3d.finetune.random",
      by: 0.03
    }],
    curves: [
      band("tokenizer", "loss", [[1, 0.78], [25, 0.675], [60, 0.56], [150, 0.49], [400, 0.45]], 0.05),
      band(
        "pretrain",
        "loss",
        [[1, 5.54], [50, 4.97], [100, 4.4], [200, 3.95], [400, 3.65], [800, 3.47], [1100, 3.4]],
        0.03
      ),
      band("pretrain", "accuracy", [[1, 0.01], [100, 0.08], [400, 0.17], [1100, 0.22]], 0.15)
    ]
  }
}

const curve = (
  name: Pick<Curve, "stage" | "metric" | "run" | "baseline">,
  steps: number,
  value: (share: number) => number,
  noise: number
): Curve => ({
  ...name,
  steps: Array.from({ length: steps }, (_, i) => i + 1),
  values: Array.from({ length: steps }, (_, i) => value(i / (steps - 1)) * (1 + noise * random.normal()))
})

const fall = (from: number, to: number) => (share: number) => to + (from - to) * Math.exp(-9 * share)

const SIDE = 48
const PATCH = 8
export const grid = { height: SIDE / PATCH, width: SIDE / PATCH }

const face = (index: number): Picture => {
  const data = new Uint8Array(3 * SIDE * SIDE).fill(128)
  const body = [235 - 40 * (index % 4), 90 + 30 * (index % 5), 40 + 50 * (index % 3)]
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const radius = Math.hypot(x - 23.5, y - 23.5)
      const eye = Math.min(Math.hypot(x - 16, y - 19), Math.hypot(x - 31, y - 19)) < 3
      const mouth = Math.abs(Math.hypot(x - 23.5, y - 26) - 9) < 1.5 && y > 27
      if (radius < 14 + (index % 6)) data.set(eye || mouth ? [60, 40, 30] : body, 3 * (y * SIDE + x))
    }
  }
  return { width: SIDE, height: SIDE, data }
}

const patches = ({ data }: Picture): ReadonlyArray<Picture> =>
  Array.from({ length: grid.width * grid.height }, (_, cell) => {
    const [top, left] = [PATCH * Math.floor(cell / grid.width), PATCH * (cell % grid.width)]
    const rows = Array.from({ length: PATCH }, (__, y) => {
      const at = 3 * ((top + y) * SIDE + left)
      return [...data.subarray(at, at + 3 * PATCH)]
    })
    return { width: PATCH, height: PATCH, data: Uint8Array.from(rows.flat()) }
  })

const codeOf = ({ data }: Picture): number => (data[0]! >> 5) + 8 * (data[94]! >> 6) + 32 * (data[188]! >> 5)

const faces = Array.from({ length: 24 }, (_, i) => face(i))
const coded = faces.map((picture, i): CodedImage => ({
  name: i === 0 ? hostile : `face ${i}`,
  picture,
  grid,
  codes: Int32Array.from(patches(picture), codeOf),
  cosine: 0.4 + 0.3 * random.uniform()
}))
const masked = coded.map(({ codes, name, picture }): MaskedImage => ({
  name,
  picture,
  grid,
  mask: Uint8Array.from({ length: codes.length }, (_, i) => (i % 6 > 1 && i > 11 && i < 30 ? 1 : 0)),
  truth: codes,
  predicted: Int32Array.from({ length: codes.length }, (_, i) => (random.uniform() < 0.4 ? codes[i]! : 7 * i))
}))

const byCode = Map.groupBy(faces.flatMap(patches), codeOf)
const all = faces.length * grid.width * grid.height
const codes = [...byCode]
  .map(([code, found]) => ({
    code,
    count: found.length,
    share: found.length / all,
    patches: found.slice(0, 12),
    matching: faces.slice(0, 4).map((face, i) => Patches.framed(face, PATCH, 6 * i)),
    mismatching: faces.slice(4, 8).map((face, i) => Patches.framed(face, PATCH, 6 * i + 5))
  }))
  .toSorted((a, b) => b.count - a.count)
  .slice(0, 16)

export const page: PageData = {
  subject: "emoji",
  curves: [
    curve({ stage: "tokenizer", metric: "loss" }, 400, fall(0.78, 0.45), 0.03),
    curve({ stage: "tokenizer", metric: "cosine" }, 400, fall(0.22, 0.55), 0.03),
    curve({ stage: "pretrain", metric: "loss" }, 1100, fall(5.5, 3.42), 0.03),
    curve({ stage: "pretrain", metric: "accuracy" }, 1100, fall(0.01, 0.23), 0.1),
    curve({ stage: "fine-tune", metric: "loss", run: "pretrained" }, 300, fall(2.08, 0.9), 0.06),
    curve({ stage: "fine-tune", metric: "loss", run: "random", baseline: true }, 300, fall(2.08, 1.25), 0.06)
  ],
  codebook: [
    curve({ stage: "tokenizer", metric: "codes used" }, 40, fall(120, 238), 0.02),
    curve({ stage: "tokenizer", metric: "perplexity" }, 40, fall(60, 165), 0.02)
  ],
  codes,
  plain: [{ code: 255, count: 90, share: 0.104, patches: codes[0]!.patches }],
  means: new Map([...byCode].map(([code, [first]]) => [code, first!])),
  coded: coded.slice(0, 6),
  masked: masked.slice(0, 6),
  confusion: {
    evaluation: "fine-tuned from the pretrained network, new concepts in style",
    counts: report.classes.map((_, truth) =>
      report.classes.map((__, predicted) => Math.round(100 * random.uniform() ** 3) + (truth === predicted ? 60 : 0))
    )
  },
  credits: [
    { name: "Noto Emoji", author: "Google", licence: "Apache-2.0", url: "https://github.com/googlefonts/noto-emoji" },
    { name: "Unsafe", author: "Somebody", licence: "none", url: "javascript:alert(1)" }
  ],
  provenance: [["patchword", "0.1.0"], ["Node.js", "22.23.3"], ["Machine", "2 cores"]],
  config: { tokenizer: { codebook: { size: 256, dim: 32 } }, hostile }
}
