/**
 * A decision about the sub-folders of a folder of images: they are splits or classes. A class may be called `train`, so
 * sub-folders count as splits only where this is certain.
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

/** Whether a name is one that splits usually have, in any case: `train`, `Valid`. */
const isUsual = (name: string): boolean => KINDS.has(name.toLowerCase())

/** What split a name reminds of, as `train2017` and `seg_train` of `train`. */
const kindOf = (name: string): string | undefined =>
  name.toLowerCase().split(/[^a-z]+/).map((word) => KINDS.get(word)).find((kind) => kind !== undefined)

/** Those of some folders whose own sub-folders {@link decide} has to know. */
export const suspects = (folders: ReadonlyArray<string>): ReadonlyArray<string> =>
  folders.filter((name) => kindOf(name) !== undefined)

/**
 * What sub-folders are, by their names and by the names of the folders that lie in the {@link suspects} among them. They
 * are splits where all are called so, or where several that are called so have a class in common; `unsure` where they
 * could be both.
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
  const nested = usual.some((name) => inside.get(name)?.length !== 0)
  return !nested && new Set(suspected.map(kindOf)).size === 1 ? "classes" : "unsure"
}
