/** Flags that several commands take. */
import { Flag } from "effect/cli"
import * as Classes from "../../domain/evaluation/Classes.ts"
import * as Described from "./Described.ts"

/** The run folder of a command that trains. */
export const out = Flag.String("out").pipe(
  Described.required("run folder, or s3://BUCKET/PREFIX; a run there that is not finished goes on")
)

/** The split that is learned from or looked at. */
export const split = Flag.String("split").pipe(Described.withDefault("the split that is read", "train"))

/** The names in a list, each once. */
export const names = (list: string): ReadonlyArray<string> => [...new Set(list.split(","))]

/** Tests whether a list has no name twice. */
export const isOnce = (list: string): boolean => names(list).length === list.split(",").length

/** The splits that a network is tested on. */
export const tests = Flag.String("tests").pipe(
  Flag.filter(isOnce, () => "each split once"),
  Described.withDefault("the splits that are tested, for example val,in-new", "val"),
  Flag.map(names)
)

/** The rule by which classes of the tested splits may differ from those that are learned. */
export const classes = Flag.Literals("classes", Classes.Rule.literals).pipe(
  Described.withDefault(
    "same: every split has the same classes, by name; fewer: a tested split may lack some; subset: answers are sought " +
      "only among the classes of the tested split, as on ImageNet-A and -R",
    "same"
  )
)

/** The folder of shards that several processes make. `does` and `alone` say what each does of them, and what one does alone. */
export const shards = (does: string, alone: string) =>
  Flag.String("shards").pipe(
    Described.optional(
      `a folder that several processes share, on one machine or many: each that runs this command with it ${does}`,
      `this process ${alone}`
    )
  )

/** Results for machines. */
export const json = Described.flag(
  "json",
  "print one JSON object on standard output; progress, and a failure as an object, on standard error"
)

/** The flag for also evaluating random weights. */
export const randomBaseline = Described.flag(
  "random-baseline",
  "evaluate the same network with random weights, too, to see what training gave"
)
