/** The view where one drops an own picture and sees its codes. The browser tokenizes it, so the view needs a server for its files. */
import { Effect, type FileSystem, Option, type Path } from "effect"
import type { Told } from "../../domain/values/TaggedError.ts"
import * as RunTokenizer from "../../pipelines/tokenize/RunTokenizer.ts"
import * as TokenizeFiles from "../../pipelines/tokenize/TokenizeFiles.ts"
import * as TokenizeView from "../../pipelines/tokenize/TokenizeView.ts"
import { missing } from "./Missing.ts"
import type { Place, Viewed } from "./View.ts"

/** The place of the view in addresses. */
export const ID = "tokenize"

/** The place of its files: `/runs/RUN/tokenizer/…`. */
export const FILES = "tokenizer"

/** Reads and renders the view. */
export const render: (place: Place) => Effect.Effect<Viewed | undefined, Told, FileSystem.FileSystem | Path.Path> =
  Effect.fnUntraced(function*({ id, inner, links, run }) {
    if (inner !== "") return undefined
    if (links.address === undefined) {
      return { main: missing("Own pictures are tokenized by the pages of a server.", "patchword studio RUNS") }
    }
    const found = yield* RunTokenizer.find(run.path)
    if (Option.isNone(found)) return { main: missing("This run has no finished tokenizer yet.") }
    if (Option.isNone(yield* TokenizeFiles.runtime)) {
      return { main: TokenizeView.section({ install: TokenizeFiles.INSTALL }) }
    }
    return {
      main: TokenizeView.section({ base: `${links.run(id, FILES)}/`, config: found.value.config }),
      modules: [TokenizeFiles.MODULE],
      runsWasm: true
    }
  })
