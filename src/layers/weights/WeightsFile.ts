/** Reads tensors from files: safetensors, whole or in shards, and checkpoints of PyTorch. */
import { Effect, type FileSystem, type Path, type PlatformError, Schema } from "effect"
import * as Json from "../../domain/values/Json.ts"
import type * as Pickle from "../../domain/weights/Pickle.ts"
import type * as Pth from "../../domain/weights/Pth.ts"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import * as Files from "../files/Files.ts"
import { readAt } from "../files/ReadAt.ts"
import { IndexInvalid, Unrecognised, type WeightsError } from "./WeightsError.ts"

const Index = Json.text(Schema.Struct({ weight_map: Schema.Record(Schema.String, Schema.String) }))

const INDEX = ".index.json"

// Only checkpoints need the reader of archives.
const pthFile = Effect.promise(() => import("./PthFile.ts"))

/** The tensors of one file, and the metadata of its header. */
interface Content<A> {
  readonly metadata: Readonly<Record<string, string>>
  readonly tensors: Readonly<Record<string, A>>
}

type Reading<A> = Effect.Effect<Content<A>, WeightsError["reason"], FileSystem.FileSystem | Path.Path>

/** A reader of one file of either format. */
interface Reader<A> {
  readonly checkpoint: (handle: FileSystem.File) => Effect.Effect<
    Readonly<Record<string, A>>,
    Pth.PthError | Pickle.PickleError | PlatformError.PlatformError
  >
  readonly safetensors: (
    files: Files.Files,
    file: string
  ) => Effect.Effect<Content<A>, Files.FileError | Safetensors.SafetensorsError>
}

const readOne = <A>(reader: Reader<A>) =>
  Effect.fnUntraced(function*(file: string): Effect.fn.Return<
    Content<A>,
    WeightsError["reason"],
    FileSystem.FileSystem | Path.Path
  > {
    const files = yield* Files.make
    yield* files.regular(file)
    const { beginning, checkpoint } = yield* Effect.gen(function*() {
      const handle = yield* files.fs.open(file)
      const PthFile = yield* pthFile
      const checkpoint = (yield* PthFile.recognise(handle)) ? yield* reader.checkpoint(handle) : undefined
      return { checkpoint, beginning: yield* readAt(handle, 0, Safetensors.BEGINNING) }
    }).pipe(Effect.scoped, Files.onFailure(file))
    if (checkpoint !== undefined) return { metadata: {}, tensors: checkpoint }
    // A file that is too short for recognition is safetensors if its name says so.
    const meant = Safetensors.recognise(beginning) ||
      (beginning.length < Safetensors.BEGINNING && file.endsWith(".safetensors"))
    return yield* Effect.catchTag(
      reader.safetensors(files, file),
      "SafetensorsError",
      (error) => Effect.fail(meant ? error : new Unrecognised())
    )
  })

const readShards = <A>(one: (file: string) => Reading<A>) =>
  Effect.fnUntraced(function*(file: string): Effect.fn.Return<
    Content<A>,
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
    const tensors: Array<readonly [string, A]> = []
    for (const name of names) {
      const shard = yield* one(path.join(path.dirname(file), name))
      for (const [tensor, place] of Object.entries(weight_map)) {
        if (place !== name) continue
        const found = Object.hasOwn(shard.tensors, tensor) ? shard.tensors[tensor] : undefined
        if (found === undefined) return yield* invalid(`${tensor} should be in ${name}, but is not`)
        tensors.push([tensor, found])
      }
    }
    return { metadata: {}, tensors: Object.fromEntries(tensors) }
  })

const reading = <A>(reader: Reader<A>) => {
  const one = readOne(reader)
  const shards = readShards(one)
  return (file: string): Reading<A> => file.endsWith(INDEX) ? shards(file) : one(file)
}

/** Reads a file, or all the shards that an index lists. */
export const read = reading<HostTensor.Any>({
  checkpoint: (handle) => Effect.flatMap(pthFile, (PthFile) => PthFile.read(handle)),
  safetensors: (files, file) => files.readTensors(file)
})

/** A tensor that is not read: its element type in the file, and its shape. */
export interface Listed {
  readonly dtype: string
  readonly shape: ReadonlyArray<number>
}

/** Lists the tensors that {@link read} reads, without reading them. Fails as it does. */
export const list = reading<Listed>({
  checkpoint: (handle) => Effect.flatMap(pthFile, (PthFile) => PthFile.list(handle)),
  safetensors: (files, file) =>
    Effect.map(files.readHeader(file), ({ entries, metadata }) => ({
      metadata,
      tensors: Object.fromEntries(entries.map(({ dtype, name, shape }) => [name, { dtype, shape }]))
    }))
})
