/**
 * Time and memory of an atlas without the network: `npm run bench -- atlas [--codes 8192] [--images 20000] [--classes 1000] [--pictures 256]`.
 *
 * Scans synthetic images of 14x14 patches, and prints the time for a million patches and the resident memory after each quarter. Then it
 * measures a saved state, the neighbours and the map of the codebook, and the pictures of some codes: time, and bytes on disk.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect, FileSystem } from "effect"
import { statSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { base } from "../src/domain/config/presets/base.ts"
import * as CodeNeighbours from "../src/domain/method/CodeNeighbours.ts"
import * as MutualInformation from "../src/domain/method/MutualInformation.ts"
import * as KeyedRandom from "../src/domain/values/KeyedRandom.ts"
import * as Safetensors from "../src/domain/weights/Safetensors.ts"
import * as ImageSet from "../src/layers/images/reading/ImageSet.ts"
import * as AtlasIndex from "../src/pipelines/atlas/AtlasIndex.ts"
import * as CodeMap from "../src/pipelines/atlas/CodeMap.ts"
import * as CodePictures from "../src/pipelines/atlas/CodePictures.ts"
import * as CodeScan from "../src/pipelines/atlas/CodeScan.ts"

const { values } = parseArgs({
  options: {
    codes: { type: "string", default: "8192" },
    images: { type: "string", default: "20000" },
    classes: { type: "string", default: "1000" },
    pictures: { type: "string", default: "256" }
  }
})

const [codes, images, classes, pictures] = [values.codes, values.images, values.classes, values.pictures].map(
  Number
) as [
  number,
  number,
  number,
  number
]
const [SIDE, PATCH, PATCHES, WIDTH, QUARTERS] = [224, 16, 196, 32, 4]

const print = (row: object) => void process.stdout.write(`${JSON.stringify(row)}\n`)
const digits = (value: number) => Number(value.toPrecision(3))
const mebibytes = () => Math.round(process.memoryUsage.rss() / 2 ** 20)
const timed = <A>(work: () => A): readonly [A, number] => {
  const begun = performance.now()
  const made = work()
  return [made, (performance.now() - begun) / 1000]
}

/** Few codes are frequent, as in a trained codebook. */
const chosen = (index: number): CodeScan.Chosen => {
  const { uniform } = KeyedRandom.generator({ seed: 1, purpose: "bench", epoch: 0, index })
  const draw = () => Math.floor(codes * uniform() ** 2)
  const distances = Float32Array.from({ length: PATCHES }, uniform)
  return {
    index,
    label: index % classes,
    codes: Int32Array.from({ length: PATCHES }, draw),
    distances,
    seconds: Int32Array.from({ length: PATCHES }, draw),
    secondDistances: distances.map((distance) => distance + uniform())
  }
}

const scan = CodeScan.make({ codes, patches: PATCHES, classes, lists: CodeScan.LISTS })
const made = Array.from({ length: 512 }, (_, i) => chosen(i))
print({ part: "begin", mebibytes: mebibytes() })
for (let quarter = 0; quarter < QUARTERS; quarter++) {
  const [from, to] = [quarter, quarter + 1].map((part) => Math.floor(part * images / QUARTERS)) as [number, number]
  const [, seconds] = timed(() => {
    for (let index = from; index < to; index++) CodeScan.add(scan, { ...made[index % made.length]!, index })
  })
  const millions = (to - from) * PATCHES / 1e6
  print({ part: "scan", images: to, secondsPerMillionPatches: digits(seconds / millions), mebibytes: mebibytes() })
}
const [bytes, saving] = timed(() =>
  Safetensors.encodeParts(CodeScan.toTensors(scan)).reduce((sum, part) => sum + part.length, 0)
)
print({ part: "state", seconds: digits(saving), mebibytes: Math.round(bytes / 2 ** 20) })
const [, information] = timed(() => {
  MutualInformation.of(scan.byClass, classes)
  MutualInformation.preferences(scan.byClass, classes, 12)
})
print({ part: "classes", seconds: digits(information) })

const vectors = new Float32Array(codes * WIDTH)
KeyedRandom.fillNormal(vectors, { seed: 1, purpose: "bench/codes", epoch: 0, index: 0 }, {
  deviation: 1,
  cut: Infinity
})
const [, near] = timed(() => CodeNeighbours.of(vectors, WIDTH, 12))
print({ part: "neighbours", codes, seconds: digits(near) })
const mapping = performance.now()
await Effect.runPromise(CodeMap.of(vectors, WIDTH))
print({ part: "map", method: CodeMap.METHOD, codes, seconds: digits((performance.now() - mapping) / 1000) })

const few = CodeScan.make({ codes: pictures, patches: PATCHES, classes: 0, lists: CodeScan.LISTS })
for (let index = 0; index < 64; index++) {
  const one = made[index]!
  const fold = (all: Int32Array) => all.map((code) => code % pictures)
  CodeScan.add(few, { ...one, codes: fold(one.codes), seconds: fold(one.seconds!) })
}
const shown = ImageSet.memory(
  "bench",
  ["."],
  Array.from({ length: 64 }, (_, index) => ({
    width: SIDE,
    height: SIDE,
    data: Uint8Array.from({ length: 3 * SIDE * SIDE }, (__, i) => 128 + 100 * Math.sin(i / (50 + index)))
  })),
  new Int32Array(64)
)

await Effect.runPromise(
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const folder = yield* fs.makeTempDirectoryScoped()
    const begun = performance.now()
    const { augment } = base.tokenizer
    yield* CodePictures.write(folder, {
      scan: few,
      set: shown,
      imageSize: SIDE,
      patchSize: PATCH,
      augment,
      told: () => Effect.void
    })
    const seconds = (performance.now() - begun) / 1000
    for (const kind of AtlasIndex.PICTURES) {
      const names = yield* fs.readDirectory(join(folder, kind))
      const size = names.reduce((sum, name) => sum + statSync(join(folder, kind, name)).size, 0)
      print({ part: "pictures", kind, codes: names.length, bytesOfEach: Math.round(size / names.length) })
    }
    print({ part: "pictures", millisecondsOfEach: digits(1000 * seconds / pictures), mebibytes: mebibytes() })
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)
print({ part: "end", peakMebibytes: Math.round(process.resourceUsage().maxRSS / 1024) })
