/** Storage of a run's files: a folder or memory. */
import { type Context, Effect, type FileSystem, Option, type Path, Schema, type Scope } from "effect"
import * as Explain from "../../domain/values/Explain.ts"
import * as Json from "../../domain/values/Json.ts"
import * as Files from "../files/Files.ts"
import type * as Lock from "../files/Lock.ts"
import * as Weights from "../weights/Weights.ts"
import type { RunKeeper } from "./RunKeeper.ts"
import { Unreadable } from "./RunsError.ts"

/** A failure of a change: a keeper of the folder may refuse the first one. */
export type ChangeError = Files.FileError | Lock.Locked

/** Storage of a run's files. Names are relative to its folder. */
export interface RunStore {
  readonly directory: Option.Option<string>
  readonly read: (name: string) => Effect.Effect<Option.Option<string>, Files.FileError>
  readonly write: (name: string, text: string) => Effect.Effect<void, ChangeError>
  /** Adds a text to a file that grows. */
  readonly append: (name: string, text: string) => Effect.Effect<void, ChangeError>
  /** Flushes what was appended to a file to the disk, if the file exists. */
  readonly flush: (name: string) => Effect.Effect<void, Files.FileError>
  readonly readWeights: (
    name: string
  ) => Effect.Effect<Option.Option<Weights.Weights>, Files.FileError | Weights.WeightsError>
  readonly writeWeights: (
    name: string,
    weights: Weights.Weights
  ) => Effect.Effect<void, ChangeError | Weights.WeightsError>
  readonly writeBatch: (
    name: string,
    batch: Weights.Weights
  ) => Effect.Effect<void, ChangeError | Weights.WeightsError>
}

/** Has each change follow the `begin` of a keeper. */
export const kept = (store: RunStore, { begin }: RunKeeper): RunStore => ({
  ...store,
  write: (...given) => Effect.andThen(begin, store.write(...given)),
  append: (...given) => Effect.andThen(begin, store.append(...given)),
  writeWeights: (...given) => Effect.andThen(begin, store.writeWeights(...given)),
  writeBatch: (...given) => Effect.andThen(begin, store.writeBatch(...given))
})

const parseJson = Schema.decodeEffect(Json.text(Schema.Json))

/** Reads a JSON file, if it exists. */
export const readJson = Effect.fnUntraced(function*(store: RunStore, name: string) {
  const text = yield* store.read(name)
  if (Option.isNone(text)) return Option.none()
  return Option.some(
    yield* parseJson(text.value).pipe(
      Effect.mapError((error) => new Unreadable({ file: name, problem: Explain.of(error) }))
    )
  )
})

/** Stores files in a folder. Those of the names `growing` stay open until the scope closes. */
export const folder = Effect.fnUntraced(function*(
  files: Files.Files,
  context: Context.Context<FileSystem.FileSystem | Path.Path>,
  directory: string,
  growing: ReadonlyArray<string>
): Effect.fn.Return<RunStore, never, Scope.Scope> {
  const { fs, path } = files
  const at = (name: string) => path.join(directory, name)
  const ends = new Map<string, Files.Appending>()
  for (const name of growing) ends.set(name, yield* files.appending(at(name)))
  return {
    directory: Option.some(directory),
    read: (name) => Files.ifThere(files.readText(at(name))),
    write: (name, text) => Effect.andThen(ends.get(name)?.close ?? Effect.void, files.write(at(name), text)),
    append: (name, text) =>
      Effect.catch(ends.get(name)!.add(text), (error) =>
        Effect.flatMap(
          Effect.orElseSucceed(fs.exists(directory), () => true),
          // Its lock is gone with the folder, which is no sign of a new owner.
          (there) =>
            Effect.fail(there ? error : new Files.FileError({ path: directory, kind: "missing", cause: error }))
        )),
    flush: (name) => Effect.asVoid(Files.ifThere(files.flush(at(name)))),
    readWeights: (name) =>
      Files.onFailure(at(name))(fs.exists(at(name))).pipe(
        Effect.flatMap((there) => there ? Effect.asSome(Weights.read(at(name))) : Effect.succeedNone),
        Effect.provideContext(context)
      ),
    writeWeights: (name, weights) => Effect.provideContext(Weights.write(at(name), weights), context),
    writeBatch: (name, batch) => Effect.provideContext(Weights.writeBatch(at(name), batch), context)
  }
})

/** Stores files in memory. */
export const memory = (): RunStore => {
  const texts = new Map<string, string>()
  const weights = new Map<string, Weights.Weights>()
  return {
    directory: Option.none(),
    read: (name) => Effect.sync(() => Option.fromNullishOr(texts.get(name))),
    write: (name, text) => Effect.sync(() => void texts.set(name, text)),
    append: (name, text) => Effect.sync(() => void texts.set(name, (texts.get(name) ?? "") + text)),
    flush: () => Effect.void,
    readWeights: (name) => Effect.sync(() => Option.fromNullishOr(weights.get(name))),
    writeWeights: (name, value) => Effect.sync(() => void weights.set(name, value)),
    writeBatch: (name, value) => Effect.sync(() => void weights.set(name, value))
  }
}
