/**
 * `npm run interop:corruptions`: compares the random corruptions of ImageNet-C with those of the packages `imagenet-c` and
 * `imagecorruptions`. Both corrupt the same picture many times. Their pixels differ, because their random numbers do. So it
 * compares measures of the change, whose means must agree within four standard errors and a small share. The kinds without
 * random numbers are compared with the package's pixels in `npm run parity`.
 *
 * The packages are installed from PyPI into a virtual environment in the temporary folder of the system, which is kept for the
 * next time. `--python FILE` uses an interpreter that has them.
 */
import { Result } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Corruption from "../src/domain/corruptions/Corruption.ts"
import type { Picture } from "../src/domain/pixels/Picture.ts"
import * as Safetensors from "../src/domain/weights/Safetensors.ts"
import type * as HostTensor from "../src/shapes/HostTensor.ts"
import * as Python from "./python.ts"

const PACKAGES = [
  "numpy==1.26.4",
  "scipy==1.11.4",
  "scikit-image==0.21.0",
  "opencv-python-headless==4.8.1.78",
  "numba==0.58.1",
  "pillow==10.4.0",
  "setuptools==69.5.1",
  "safetensors==0.4.5"
]

/** They ask for a package of OpenCV that needs libraries of a screen. */
const ALONE = ["imagenet-c==0.0.3", "imagecorruptions==1.1.2"]

const KINDS = [
  "gaussian_noise",
  "shot_noise",
  "impulse_noise",
  "speckle_noise",
  "glass_blur",
  "motion_blur",
  "snow",
  "frost",
  "fog",
  "elastic_transform"
] as const

const SEVERITIES = [1, 3, 5] as const
const DRAWS = 40
const SIDE = 224

/** Measures may differ by this share of the largest of both, because of rounding and of other filters. */
const SHARE = 0.02

/** And by this many levels out of 255. `imagecorruptions` cuts off the digits that ImageMagick rounds in `motion_blur`. */
const levels = (kind: Corruption.Kind): number => (kind === "motion_blur" ? 0.6 : 0.1)

const wave = (x: number, y: number, channel: number): number =>
  127 + 55 * Math.sin(x / (9 + 4 * channel) + y / 23) + 40 * Math.sin(y / (5 + channel)) * Math.cos(x / 31)

const picture: Picture = {
  width: SIDE,
  height: SIDE,
  data: Uint8Array.from(
    { length: 3 * SIDE * SIDE },
    (_, i) => Math.round(wave(Math.floor(i / 3) % SIDE, Math.floor(i / 3 / SIDE), i % 3))
  )
}

/** The measures of a change: its mean, its size, its size after blurring, and the share of it that the neighbour has. */
const measures = (corrupted: ArrayLike<number>): Readonly<Record<string, number>> => {
  const change = Float64Array.from(picture.data, (value, i) => corrupted[i]! - value)
  const mean = change.reduce((sum, x) => sum + x, 0) / change.length
  const size = Math.sqrt(change.reduce((sum, x) => sum + x * x, 0) / change.length)
  let [squares, cells, along] = [0, 0, 0]
  for (let row = 0; row < SIDE; row += 8) {
    for (let column = 0; column < SIDE; column += 8) {
      let cell = 0
      for (let y = row; y < row + 8; y++) {
        for (let x = column; x < column + 8; x++) cell += change[3 * (y * SIDE + x) + 1]! / 64
      }
      squares += cell * cell
      cells++
    }
  }
  for (let i = 3; i < change.length; i++) along += change[i]! * change[i - 3]!
  return {
    mean,
    size,
    "of cells": Math.sqrt(squares / cells),
    "along rows": Math.sign(along) * Math.sqrt(Math.abs(along) / change.length)
  }
}

const spread = (values: ReadonlyArray<number>) => {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / Math.max(1, values.length - 1)
  return { mean, error: variance / values.length }
}

const { values: { python = undefined } } = parseArgs({ options: { python: { type: "string" } } })
const interpreter = python ?? Python.environment(PACKAGES, ALONE)
const folder = mkdtempSync(join(tmpdir(), "patchword-corruptions-"))
const given = { shape: [SIDE, SIDE, 3], dtype: "int32", data: Int32Array.from(picture.data) } as const
writeFileSync(join(folder, "input.safetensors"), Safetensors.encode({ picture: given }))
Python.succeed(
  interpreter,
  fileURLToPath(new URL("corrupted.py", import.meta.url)),
  folder,
  SEVERITIES.join(),
  String(DRAWS),
  KINDS.join()
)
const theirs = Result.getOrThrow(Safetensors.decode(readFileSync(join(folder, "output.safetensors")))).tensors
rmSync(folder, { recursive: true })

const frost = Object.entries(theirs).filter(([name]) => name.startsWith("frost_") && theirs[name]!.shape.length === 3)
  .map(([, { data, shape }]): Picture => ({ height: shape[0]!, width: shape[1]!, data: Uint8Array.from(data) }))

const parts = ({ data, shape }: HostTensor.Any): ReadonlyArray<ArrayLike<number>> =>
  Array.from(
    { length: shape[0]! },
    (_, i) => data.subarray(i * data.length / shape[0]!, (i + 1) * data.length / shape[0]!)
  )

let [passed, failed] = [0, 0]
for (const kind of KINDS) {
  for (const severity of SEVERITIES) {
    const expected = parts(theirs[`${kind}_${severity}`]!).map(measures)
    const found = Array.from({ length: DRAWS }, (_, index) => {
      const key = Corruption.key({ kind, severity }, { seed: 0, index })
      return measures(Corruption.apply(picture, kind, severity, key, frost).data)
    })
    for (const measure of Object.keys(expected[0]!)) {
      const [a, b] = [found, expected].map((all) => spread(all.map((one) => one[measure]!)))
      const allowed = 4 * Math.sqrt(a!.error + b!.error) +
        SHARE * Math.max(Math.abs(a!.mean), Math.abs(b!.mean)) + levels(kind)
      const ok = Math.abs(a!.mean - b!.mean) <= allowed
      if (ok) passed++
      else failed++
      const columns = [
        `${kind} ${severity}`,
        measure,
        a!.mean.toFixed(3),
        b!.mean.toFixed(3),
        `± ${allowed.toFixed(3)}`
      ]
      process.stdout.write(`${columns.map((text) => text.padEnd(21)).join("")}${ok ? "ok" : "OFF"}\n`)
    }
  }
}
process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exit(failed === 0 ? 0 : 1)
