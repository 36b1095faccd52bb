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
  /** The file of its weights. */
  readonly file: string
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
    const file = path.join(folder, name)
    const model = Option.getOrUndefined(yield* Weights.readProvenance(file))?.model
    if (model?._tag === "Tokenizer" && model.config.codebook.quantizer?.kind !== "own") {
      return Option.some({ stage: name.slice(0, -ENDING.length), config: model.config, file })
    }
  }
  return Option.none()
})

/** A file of {@link TokenizeFiles.files}. */
export type Served = TokenizeFiles.Served<TokenizeFiles.ServedError | Artifact.OpenError, Io>

/** Returns {@link TokenizeFiles.files} for the tokenizer of a run; none if onnxruntime-web is not installed. `version` is that of its weights. */
export const files = (
  run: string,
  stage: string,
  version: string
): Effect.Effect<Option.Option<ReadonlyMap<string, Served>>, never, Io> =>
  // Networks and their compiler are loaded when a tokenizer is asked for, so that pages need none of them.
  TokenizeFiles.files(
    Effect.flatMap(
      Effect.promise(() => import("../artifacts/Artifact.ts")),
      ({ tokenizer }) => tokenizer(`${run}/${stage}`)
    ),
    version
  )
