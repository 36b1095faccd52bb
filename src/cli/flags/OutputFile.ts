/** Files that a command writes. A file that exists may be an input, or the work of hours. */
import { Effect, Option } from "effect"
import * as Config from "../../domain/config/Config.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Described from "./Described.ts"

/** The flag with which a command writes over files. */
export const replace = Described.flag("replace", "write over a file that exists at --out")

/**
 * Fails with `ConfigError` if the name of the file does not end as its kind does: other programs go by the ending. Fails with
 * `FileError` if it, or a file that is written `beside` it, cannot be written, or if there is such a file and it may not be replaced.
 */
export const check = Effect.fnUntraced(function*(
  output: {
    readonly out: Option.Option<string>
    readonly ending: string
    readonly replace: boolean
    readonly beside?: (file: string) => ReadonlyArray<string>
  }
) {
  const { ending, out, replace, beside = () => [] } = output
  if (Option.isNone(out)) return
  const file = out.value
  if (!file.endsWith(ending)) {
    return yield* Config.refusal(
      "--out",
      `expected a name that ends in ${ending}, the kind of file that is written, got ${file}`,
      `write --out ${file.replace(/(?<=[^/\\])\.[^./\\]*$/, "")}${ending}`
    )
  }
  const files = yield* Files.make
  yield* Effect.forEach([file, ...beside(file)], replace ? files.checkPlace : files.checkFree, { discard: true })
})
