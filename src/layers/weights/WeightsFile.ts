/** Reads tensors from files: safetensors, whole or in shards, and checkpoints of PyTorch. */
import { Effect, type FileSystem, type Path, Schema } from "effect"
import * as Json from "../../domain/values/Json.ts"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import * as Files from "../files/Files.ts"
import { readAt } from "../files/ReadAt.ts"
import { IndexInvalid, Unrecognised, type WeightsError } from "./WeightsError.ts"

const Index = Json.text(Schema.Struct({ weight_map: Schema.Record(Schema.String, Schema.String) }))

const INDEX = ".index.json"

const readOne = Effect.fnUntraced(function*(file: string): Effect.fn.Return<
  Safetensors.Decoded,
  WeightsError["reason"],
  FileSystem.FileSystem | Path.Path
> {
  const { fs, readTensors, regular } = yield* Files.make
  yield* regular(file)
  const { beginning, checkpoint } = yield* Effect.gen(function*() {
    const handle = yield* fs.open(file)
    const PthFile = yield* Effect.promise(() => import("./PthFile.ts"))
    const checkpoint = (yield* PthFile.recognise(handle)) ? yield* PthFile.read(handle) : undefined
    return { checkpoint, beginning: yield* readAt(handle, 0, Safetensors.BEGINNING) }
  }).pipe(Effect.scoped, Files.onFailure(file))
  if (checkpoint !== undefined) return { metadata: {}, tensors: checkpoint }
  // A file that is too short for recognition is safetensors if its name says so.
  const meant = Safetensors.recognise(beginning) ||
    (beginning.length < Safetensors.BEGINNING && file.endsWith(".safetensors"))
  return yield* Effect.catchTag(
    readTensors(file),
    "SafetensorsError",
    (error) => Effect.fail(meant ? error : new Unrecognised())
  )
})

const readShards = Effect.fnUntraced(function*(file: string): Effect.fn.Return<
  Safetensors.Decoded,
  WeightsError["reason"],
  FileSystem.FileSystem | Path.Path
> {
  const { path, readText } = yield* Files.make
  const invalid = (problem: string) => new IndexInvalid({ problem })
  const { weight_map } = yield* Schema.decodeEffect(Index)(yield* readText(file)).pipe(
    Effect.mapError((error) => invalid(error.message))
  )
  const names = [...new Set(Object.values(weight_map))]
  const outside = names.find((name) => path.basename(name) !== name || name === "..")
  if (outside !== undefined) return yield* invalid(`the shard ${outside} is not in its folder`)
  const tensors: Array<readonly [string, HostTensor.Any]> = []
  for (const name of names) {
    const shard = yield* readOne(path.join(path.dirname(file), name))
    for (const [tensor, place] of Object.entries(weight_map)) {
      if (place !== name) continue
      const found = Object.hasOwn(shard.tensors, tensor) ? shard.tensors[tensor] : undefined
      if (found === undefined) return yield* invalid(`${tensor} should be in ${name}, but is not`)
      tensors.push([tensor, found])
    }
  }
  return { metadata: {}, tensors: Object.fromEntries(tensors) }
})

/** Reads a file, or all the shards that an index lists. */
export const read = (file: string) => file.endsWith(INDEX) ? readShards(file) : readOne(file)
