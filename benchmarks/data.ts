/**
 * How fast training batches are made from image files: `npm run bench -- data [--images 240] [--batch 24] [--size 224]
 * [--rounds 7] [--rate 1.6] [--small-rate 90] [--json]`.
 *
 * The files are JPEGs whose longer side is 500 pixels, of quality 90, in a temporary folder. Beside the loader of the stages,
 * which gives random views as pretraining takes them in both forms, runs what sharp itself needs to decode and shrink the
 * same files to the same size, with as many files at once. Rounds of both alternate; the ratio is the median of theirs.
 *
 * A small network takes views of 64 pixels, here of pictures that are shrunk on decoding and kept. `--rate` and
 * `--small-rate` are how many images a second steps of a network take (`bench -- step`); the data's share is what of a
 * step's time its images would take if nothing else ran meanwhile.
 */
import { Effect, Exit, Scope, Stream } from "effect"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { parseArgs } from "node:util"
import sharp from "sharp"
import { base } from "../src/domain/config/presets/Presets.ts"
import * as Images from "../src/layers/images/Images.ts"
import type { ImageSet } from "../src/layers/images/reading/ImageSet.ts"
import * as Batches from "../src/pipelines/training/Batches.ts"
import { prefetch } from "../src/pipelines/training/Prefetch.ts"

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "240" },
    batch: { type: "string", default: "24" },
    size: { type: "string", default: "224" },
    rounds: { type: "string", default: "7" },
    rate: { type: "string", default: "1.6" },
    "small-rate": { type: "string", default: "90" },
    json: { type: "boolean", default: false }
  }
})
const [count, batchSize, size, rounds] = [values.images, values.batch, values.size, values.rounds].map(Number) as [
  number,
  number,
  number,
  number
]

const SIDES = [[500, 375], [375, 500], [500, 500], [500, 333]] as const

const drawing = (index: number, width: number, height: number): Buffer => {
  const hue = (i: number) => (index * 37 + i * 71) % 360
  const discs = Array.from({ length: 14 }, (_, i) => {
    const [x, y, radius] = [(index * 53 + i * 97) % width, (index * 31 + i * 61) % height, 15 + i * 8]
    return `<circle cx="${x}" cy="${y}" r="${radius}" fill="hsl(${hue(i)},70%,50%)" fill-opacity=".6"/>`
  })
  return Buffer.from(
    `<svg width="${width}" height="${height}"><defs><linearGradient id="g" x2="1" y2="1"><stop stop-color="hsl(${
      hue(0)
    },60%,50%)"/>` +
      `<stop offset="1" stop-color="hsl(${
        hue(5)
      },60%,40%)"/></linearGradient></defs><rect width="${width}" height="${height}" ` +
      `fill="url(#g)" fill-opacity=".7"/>${discs.join("")}</svg>`
  )
}

const write = async (folder: string, index: number): Promise<string> => {
  const [width, height] = SIDES[index % SIDES.length]!
  const noise = { type: "gaussian", mean: 128, sigma: 30 } as const
  const file = `${folder}/${String(index).padStart(4, "0")}.jpg`
  await sharp({ create: { width, height, channels: 3, background: "grey", noise } })
    .composite([{ input: drawing(index, width, height) }])
    .jpeg({ quality: 90 })
    .toFile(file)
  return file
}

const median = (numbers: ReadonlyArray<number>): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!

const digits = (value: number) => Number(value.toPrecision(3))

interface Round {
  readonly imagesPerSecond: number
  readonly cpuMs: number
}

const timed = async (images: number, work: () => Promise<unknown>): Promise<Round> => {
  const [began, cpu] = [performance.now(), process.cpuUsage()]
  await work()
  const seconds = (performance.now() - began) / 1000
  const { system, user } = process.cpuUsage(cpu)
  return { imagesPerSecond: images / seconds, cpuMs: (system + user) / 1000 / images }
}

const ceiling = async (files: ReadonlyArray<string>, side: number): Promise<void> => {
  let next = 0
  await Promise.all(Array.from({ length: Batches.DECODERS }, async () => {
    while (next < files.length) await sharp(files[next++]).resize(side, side).raw().toBuffer()
  }))
}

const folder = mkdtempSync(`${tmpdir()}/patchword-data-`)
try {
  const files: Array<string> = []
  for (let index = 0; index < count; index++) files.push(await write(folder, index))
  const { augment } = base.pretrain
  const open = (options: Images.FolderOptions) =>
    Effect.runPromise(
      Images.Images.pipe(
        Effect.flatMap(({ load }) => load("train")),
        Effect.provide(Images.layerFolder(folder, { check: "names", ...options }))
      )
    )
  const scope = await Effect.runPromise(Scope.make())
  const loader = async (side: number, set: ImageSet) => {
    const asked = { stage: "pretrain", set, seed: 0, batchSize, size: side, augment }
    const { batch, recycle, stepsPerEpoch } = await Effect.runPromise(Scope.provide(Batches.training(asked), scope))
    let epoch = 0
    return () => {
      const first = epoch++ * stepsPerEpoch
      const steps = prefetch(first, first + stepsPerEpoch - 1, batch)
      return timed(
        stepsPerEpoch * batchSize,
        () =>
          Effect.runPromise(
            Stream.runForEach(steps, ({ normalised, unit }) => Effect.sync(() => recycle([normalised.data, unit.data])))
          )
      )
    }
  }
  const large = await loader(size, await open({ memory: 0 }))
  const small = await loader(64, await open({ shrinkTo: 128 }))
  const found: Array<{ readonly ceiling: Round; readonly loader: Round; readonly small: Round }> = []
  for (let round = -1; round < rounds; round++) {
    const one = { ceiling: await timed(count, () => ceiling(files, size)), loader: await large(), small: await small() }
    if (round >= 0) found.push(one)
  }
  const rate = (name: "ceiling" | "loader" | "small") => digits(median(found.map((one) => one[name].imagesPerSecond)))
  const cpu = (name: "ceiling" | "loader") => digits(median(found.map((one) => one[name].cpuMs)))
  const result = {
    machine: cpus()[0]!.model.trim(),
    cores: cpus().length,
    images: count,
    kilobytesPerFile: digits(files.reduce((sum, file) => sum + statSync(file).size, 0) / count / 1000),
    size,
    imagesPerSecond: rate("loader"),
    cpuMsPerImage: cpu("loader"),
    sharpImagesPerSecond: rate("ceiling"),
    sharpCpuMsPerImage: cpu("ceiling"),
    ratio: digits(median(found.map((one) => one.loader.imagesPerSecond / one.ceiling.imagesPerSecond))),
    ratioOfCpu: digits(median(found.map((one) => one.ceiling.cpuMs / one.loader.cpuMs))),
    share: digits(Number(values.rate) / rate("loader")),
    smallImagesPerSecond: rate("small"),
    smallShare: digits(Number(values["small-rate"]) / rate("small"))
  }
  await Effect.runPromise(Scope.close(scope, Exit.void))
  process.stdout.write(
    values.json
      ? `${JSON.stringify(result)}\n`
      : `${result.images} JPEGs of ${result.kilobytesPerFile} kB to ${size} pixels on ${result.cores} cores\n` +
        `loader: ${result.imagesPerSecond} images/s, ${result.cpuMsPerImage} ms of processor time each\n` +
        `sharp's decode and resize: ${result.sharpImagesPerSecond} images/s, ${result.sharpCpuMsPerImage} ms each\n` +
        `ratio: ${result.ratio} (of processor time: ${result.ratioOfCpu})\n` +
        `data's share of a step that takes ${values.rate} images/s: ${result.share}\n` +
        `loader of kept pictures at 64 pixels: ${result.smallImagesPerSecond} images/s; share of a step that takes ` +
        `${values["small-rate"]} images/s: ${result.smallShare}\n`
  )
} finally {
  rmSync(folder, { recursive: true })
}
