/** The classes of objects in scenes of emoji. They are what the emoji show, and not the groups of Unicode. */

/** The classes of pixels: the ground, and nine classes of objects. */
export const names = [
  "ground",
  "face",
  "hand",
  "person",
  "animal",
  "plant or food",
  "vehicle",
  "place",
  "thing",
  "sign"
] as const

/** The name of a class. */
export type Name = typeof names[number]

const KINDS: ReadonlyArray<readonly [subgroup: RegExp, name: Name]> = [
  [/^(?:animal|cat-face$|monkey-face$)/, "animal"],
  [/^face/, "face"],
  [/^(?:hand|body-parts$)/, "hand"],
  [/^(?:person|family$)/, "person"],
  [/^(?:plant|food|drink$|dishware$)/, "plant or food"],
  [/^transport-(?!sign$)/, "vehicle"],
  [/^(?:place|hotel$)/, "place"]
]

// Their drawings have no common look.
const LEFT_OUT = new Set(["heart", "emotion", "time", "sky & weather"])

/** Returns the class of the emoji of a group and subgroup of Unicode; undefined for those that are in no scene. */
export const of = (group: string, subgroup: string): Name | undefined => {
  const found = KINDS.find(([pattern]) => pattern.test(subgroup))?.[1]
  if (found !== undefined) return found
  if (subgroup !== "clothing" && group === "Symbols") return "sign"
  return LEFT_OUT.has(subgroup) ? undefined : "thing"
}
