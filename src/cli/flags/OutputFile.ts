/** Files that a command writes. A file that exists may be an input, or the work of hours. */
import { Effect } from "effect"
import * as Files from "../../layers/files/Files.ts"
import * as Described from "./Described.ts"

/** The flag with which a command writes over files. */
export const replace = Described.flag("replace", "write over a file that exists at --out")

/** Fails with `FileError` if the files cannot be written, or if there are such files and they may not be replaced. */
export const check = Effect.fnUntraced(function*(outputs: ReadonlyArray<string>, mayReplace: boolean) {
  const files = yield* Files.make
  yield* Effect.forEach(outputs, mayReplace ? files.checkPlace : files.checkFree, { discard: true })
})
