/**
 * Decides if the sub-folders of a folder of images are splits or classes. A class may be called `train`, so sub-folders count
 * as splits only if this is certain.
 *
 * ```ts
 * import assert from "node:assert"
 * import { SplitFolders } from "patchword/domain"
 *
 * const classes = new Map([["Train", ["ape", "bee"]], ["Valid", ["ape", "bee"]]])
 * assert.strictEqual(SplitFolders.decide([...classes.keys()], classes), "splits")
 * assert.strictEqual(SplitFolders.decide(["bus", "car", "train"], new Map([["train", []]])), "classes")
 * assert.strictEqual(SplitFolders.decide(["bus", "train"], new Map([["train", ["steam"]]])), "unsure")
 * ```
 */

const KINDS: ReadonlyMap<string, string> = new Map([
  ["train", "train"],
  ["training", "train"],
  ["val", "val"],
  ["valid", "val"],
  ["validation", "val"],
  ["dev", "val"],
  ["eval", "val"],
  ["evaluation", "val"],
  ["test", "test"],
  ["testing", "test"]
])

/** `train` for `train`, `trainset` and `train_data`. */
const kind = (name: string): string | undefined =>
  KINDS.get(name.toLowerCase().replace(/[ _-]?(?:set|data|split)$/, ""))

/** Tests whether a name is a usual name of a split, in any case: `train`, `Valid`, `test_set`. */
const isUsual = (name: string): boolean => kind(name) !== undefined

/** Returns the kind of split that a name contains: `train` for `train2017` and `seg_train`. */
const kindOf = (name: string): string | undefined =>
  name.split(/[^A-Za-z]+/).map(kind).find((found) => found !== undefined)

/** Selects the folders that may be splits. {@link decide} needs the names of their sub-folders. */
export const suspects = (folders: ReadonlyArray<string>): ReadonlyArray<string> =>
  folders.filter((name) => kindOf(name) !== undefined)

/**
 * Decides if sub-folders are splits or classes, by their names and by the names of the folders inside of the {@link suspects}.
 * They are splits if all have usual names of splits, or if several with such names share a class. The result is `unsure` if
 * they could be both.
 */
export const decide = (
  folders: ReadonlyArray<string>,
  inside: ReadonlyMap<string, ReadonlyArray<string>>
): "splits" | "classes" | "unsure" => {
  const suspected = suspects(folders)
  if (suspected.length === 0) return "classes"
  if (folders.every(isUsual)) return "splits"
  const usual = suspected.filter(isUsual)
  const classes = usual.flatMap((name) => inside.get(name) ?? [])
  if (new Set(classes).size < classes.length) return "splits"
  const nested = suspected.some((name) => inside.get(name)?.length !== 0)
  return !nested && new Set(suspected.map(kindOf)).size === 1 ? "classes" : "unsure"
}
