/** The tokenizer of a run, for a page that tokenizes pictures. */
import { Effect, type FileSystem, Option, type Path } from "effect"
import type { TokenizerConfig } from "../../domain/config/TokenizerConfig.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import type * as Artifact from "../artifacts/Artifact.ts"
import * as TokenizeFiles from "./TokenizeFiles.ts"

type Io = FileSystem.FileSystem | Path.Path

const ENDING = ".safetensors"

/** A tokenizer that a run has finished. */
export interface RunTokenizer {
  readonly stage: string
  readonly config: TokenizerConfig
}

/**
 * Finds the first finished tokenizer of a run, by the name of its stage, from the headers of its files alone. A tokenizer whose quantizer was given
 * in code is left out, because it cannot be exported without that code.
 */
export const find = Effect.fnUntraced(function*(
  run: string
): Effect.fn.Return<Option.Option<RunTokenizer>, Files.FileError | Weights.WeightsError, Io> {
  const { fs, path } = yield* Files.make
  const folder = path.join(run, "stages")
  const names = yield* Files.ifThere(Files.onFailure(folder)(fs.readDirectory(folder)))
  const files = Option.getOrElse(names, (): ReadonlyArray<string> => []).filter((name) => name.endsWith(ENDING))
  for (const name of files.toSorted()) {
    const model = Option.getOrUndefined(yield* Weights.readProvenance(path.join(folder, name)))?.model
    if (model?._tag === "Tokenizer" && model.config.codebook.quantizer?.kind !== "own") {
      return Option.some({ stage: name.slice(0, -ENDING.length), config: model.config })
    }
  }
  return Option.none()
})

/** A file of {@link TokenizeFiles.files}. */
export type Served = TokenizeFiles.Served<TokenizeFiles.ServedError | Artifact.OpenError, Io>

/** Finds a file of {@link TokenizeFiles.files} for the tokenizer of a run. `undefined` if the run has no tokenizer, or there is no such file. */
export const file = Effect.fnUntraced(function*(
  run: string,
  name: string
): Effect.fn.Return<Served | undefined, Files.FileError | Weights.WeightsError, Io> {
  const found = yield* find(run)
  if (Option.isNone(found)) return undefined
  // Networks and their compiler are loaded when a tokenizer is asked for, so that pages need none of them.
  const opened = Effect.flatMap(
    Effect.promise(() => import("../artifacts/Artifact.ts")),
    ({ tokenizer }) => tokenizer(`${run}/${found.value.stage}`)
  )
  const files = yield* TokenizeFiles.files(opened)
  return Option.isNone(files) ? undefined : files.value.get(name)
})
