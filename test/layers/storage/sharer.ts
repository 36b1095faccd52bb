import { Effect } from "effect"
import * as Files from "../../../src/layers/files/Files.ts"
import * as SharedWork from "../../../src/layers/storage/SharedWork.ts"

const [folder = "", millis = "0"] = process.argv.slice(2)

await SharedWork.make(folder, { about: { test: 1 }, shards: 12 }, (shard, write) =>
  Effect.gen(function*() {
    yield* write(Uint8Array.of(shard))
    console.log(`begins ${shard}`)
    yield* Effect.sleep(Number(millis))
    yield* write(Uint8Array.of(shard * 2))
  })).pipe(Effect.provide(Files.layerNode), Effect.runPromise)
