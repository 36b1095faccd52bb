/** The setting that an evaluation chose, for people. */
import * as Json from "../../domain/values/Json.ts"

const short = (value: Json.Json): string =>
  typeof value === "number" ? String(Number(value.toPrecision(3))) : String(value)

const of = (name: string, value: Json.Json | undefined): ReadonlyArray<string> =>
  value === undefined || value === null ? [] : [`${name} ${short(value)}`.trim()]

/** Lists the setting that the figures of a result are for. */
const parts = (settings: Readonly<Record<string, Json.Json | undefined>>): ReadonlyArray<string> => {
  const { c, l2, neighbours, perClass, winner } = settings
  return [
    ...of("", winner),
    ...of("C", c),
    ...of("l2", l2),
    ...of("k", neighbours),
    ...of("images per class:", perClass)
  ]
}

/** Says which setting the figures of a result are for: `4_blocks_cls_lr_0_01`, `k 5, images per class: 10`. */
export const setting = (settings: Readonly<Record<string, Json.Json | undefined>>): string => parts(settings).join(", ")

/** Says {@link setting}, and on which images it was chosen: `C 1.78, chosen on val`. Empty if nothing was chosen. */
export const chosen = (settings: Json.Json): string =>
  Json.isObject(settings) ? [...parts(settings), ...of("chosen on", settings.chosenOn)].join(", ") : ""
