/**
 * What the server has opened of runs: atlases, and exported tokenizers. Each is kept while its files do not change, and only the last few
 * are.
 */
import { Effect, type FileSystem, Option, type Path } from "effect"
import * as Files from "../../layers/files/Files.ts"
import { memoize } from "../../layers/files/Memoize.ts"
import type * as Weights from "../../layers/weights/Weights.ts"
import * as Atlas from "../../pipelines/atlas/Atlas.ts"
import * as RunTokenizer from "../../pipelines/tokenize/RunTokenizer.ts"
import * as RunDigests from "../../pipelines/trained/RunDigests.ts"
import type { Place } from "../pages/View.ts"

type Io = FileSystem.FileSystem | Path.Path

/** Readers of run folders that open nothing twice. */
export interface Opened {
  readonly atlas: Place["atlas"]
  readonly digests: Place["digests"]
  /** Finds a file for the page that tokenizes pictures. `undefined` if the run has no tokenizer, or there is no such file. */
  readonly tokenizer: (
    run: string,
    name: string
  ) => Effect.Effect<RunTokenizer.Served | undefined, Files.FileError | Weights.WeightsError, Io>
}

const ATLASES = 4

const DIGESTS = 256

// The program of a base-size tokenizer takes 350 MB.
const TOKENIZERS = 1
const KEPT = "10 minutes"

/** Makes the readers. What they keep ends with them. */
export const make: Effect.Effect<Opened> = Effect.gen(function*() {
  const atlases = yield* memoize(
    ({ run }: { readonly run: string; readonly version: string }) => Atlas.open(run),
    ATLASES
  )
  const tokenizers = yield* memoize(
    ({ run, stage, version }: { readonly run: string; readonly stage: string; readonly version: string }) =>
      RunTokenizer.files(run, stage, version),
    TOKENIZERS,
    KEPT
  )
  const digests = yield* memoize(
    ({ file }: { readonly file: string; readonly version: string }) => RunDigests.ofFile(file),
    DIGESTS
  )
  return {
    digests: (run) =>
      RunDigests.of(run, (file) => Effect.flatMap(Files.version(file), (version) => digests({ file, version }))),
    atlas: (run) => Effect.flatMap(Atlas.version(run), (version) => atlases({ run, version })),
    tokenizer: Effect.fnUntraced(function*(run, name) {
      const found = yield* RunTokenizer.find(run)
      if (Option.isNone(found)) return undefined
      const { file, stage } = found.value
      const files = yield* tokenizers({ run, stage, version: yield* Files.version(file) })
      return Option.isNone(files) ? undefined : files.value.get(name)
    })
  }
})
