/** Files that a command writes. A file that exists may be an input, or the work of hours. */
import { Effect, Option } from "effect"
import * as Config from "../../domain/config/Config.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Described from "./Described.ts"

/** Makes the flag with which a command writes over the file that another flag names. */
export const replaces = (flag: string) => Described.flag("replace", `write over a file that exists at ${flag}`)

/** The flag with which a command writes over files. */
export const replace = replaces("--out")

/** Fails with `ConfigError` if the name of the file does not end as its kind does: other programs go by the ending. */
export const checkName = (
  { ending, flag = "--out", out }: { readonly out: string; readonly ending: string; readonly flag?: string }
): Effect.Effect<void, Config.ConfigError> =>
  out.endsWith(ending) ? Effect.void : Effect.fail(Config.refusal(
    flag,
    `expected a name that ends in ${ending}, the kind of file that is written, got ${out}`,
    `write ${flag} ${out.replace(/(?<=[^/\\])\.[^./\\]*$/, "")}${ending}`
  ))

/**
 * Fails as {@link checkName} does. Fails with `FileError` if the file, or one that is written `beside` it, cannot be written, or if there is
 * such a file and it may not be replaced.
 */
export const check = Effect.fnUntraced(function*(
  output: {
    readonly out: Option.Option<string>
    readonly ending: string
    readonly replace: boolean
    /** The flag that names the file; default `--out`. */
    readonly flag?: string
    readonly beside?: (file: string) => ReadonlyArray<string>
  }
) {
  const { out, replace, beside = () => [] } = output
  if (Option.isNone(out)) return
  const file = out.value
  yield* checkName({ ...output, out: file })
  const files = yield* Files.make
  yield* Effect.forEach([file, ...beside(file)], replace ? files.checkPlace : files.checkFree, { discard: true })
})
