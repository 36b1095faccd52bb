import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FileSystem } from "effect"
import fc from "fast-check"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Tar from "tar-stream"
import * as Images from "../../../src/layers/images/Images.ts"
import { encoded, load } from "./ImagesContract.ts"

const parquet = (name: string) => readFileSync(fileURLToPath(new URL(`./fixtures/${name}.parquet`, import.meta.url)))

const tar = async (): Promise<Buffer> => {
  const pack = Tar.pack()
  const image = await encoded({ width: 1, height: 1, data: Uint8Array.of(1, 2, 3) })
  for (const key of ["a", "b"]) {
    pack.entry({ name: `${key}.png` }, image)
    pack.entry({ name: `${key}.json` }, "{\"label\":7}")
  }
  pack.finalize()
  const chunks: Array<Uint8Array> = []
  for await (const chunk of pack) if (chunk instanceof Uint8Array) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const plain = { image: "picture", label: "animal", memory: 0 }

const sources = [
  ["snappy.parquet", parquet("snappy"), (file: string) => Images.layerParquet({ train: file }, { memory: 0 })],
  ["zstd.parquet", parquet("zstd"), (file: string) => Images.layerParquet({ train: file }, plain)],
  ["shard.tar", await tar(), (file: string) => Images.layerWebDataset({ train: file }, { memory: 0 })]
] as const

/** Most damage is done where a file tells of itself: at the end of Parquet, at the start of each member of a tar. */
const damage = (length: number) =>
  fc.array(
    fc.tuple(
      fc.oneof(fc.nat(length - 1), fc.nat(900).map((back) => Math.max(0, length - 9 - back))),
      fc.oneof(fc.constant(0), fc.nat(255))
    ),
    { minLength: 1, maxLength: 4 }
  )

describe("a damaged shard", () => {
  it.live.each(sources)(
    "is read, or refused by a typed error that stands alone: %s",
    ([name, bytes, layer]) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        const unheard: Array<unknown> = []
        const hear = (cause: unknown) => void unheard.push(cause)
        const every = Effect.flatMap(
          load(layer(`${folder}/${name}`)),
          (set) => Effect.forEach(set.labels.keys(), set.image)
        )
        yield* Effect.promise(() => {
          process.on("unhandledRejection", hear)
          return fc.assert(
            fc.asyncProperty(damage(bytes.length), async (changes) => {
              const damaged = Buffer.from(bytes)
              for (const [at, byte] of changes) damaged[at] = byte
              await Effect.runPromise(fs.writeFile(`${folder}/${name}`, damaged))
              const exit = await Effect.runPromiseExit(Effect.timeout(every, "10 seconds"))
              assert.isFalse(Exit.hasDies(exit))
              assert.notInclude(JSON.stringify(exit), "TimeoutError")
              await new Promise((resolve) => setImmediate(resolve))
              assert.deepStrictEqual(unheard, [])
            }),
            { numRuns: 60, seed: 2026 }
          ).finally(() => process.off("unhandledRejection", hear))
        })
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    60_000
  )
})
