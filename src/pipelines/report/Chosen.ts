/** The setting that an evaluation chose, for people. */
import * as Json from "../../domain/values/Json.ts"

const short = (value: Json.Json): string =>
  typeof value === "number" ? String(Number(value.toPrecision(3))) : String(value)

const of = (name: string, value: Json.Json | undefined): ReadonlyArray<string> =>
  value === undefined || value === null ? [] : [`${name} ${short(value)}`.trim()]

/**
 * Says which setting the figures of a result are for, and on which images it was chosen: `4_blocks_cls_lr_0_01, chosen on val`.
 * Empty if nothing was chosen.
 */
export const chosen = (settings: Json.Json): string => {
  if (!Json.isObject(settings)) return ""
  const { c, chosenOn, l2, neighbours, perClass, winner } = settings
  return [
    ...of("", winner),
    ...of("C", c),
    ...of("l2", l2),
    ...of("k", neighbours),
    ...of("images per class:", perClass),
    ...of("chosen on", chosenOn)
  ].join(", ")
}
