/** Flags that several commands take. */
import { Flag } from "effect/cli"
import * as Classes from "../../domain/evaluation/Classes.ts"

/** The run folder of a command that trains. */
export const out = Flag.String("out").pipe(Flag.withDescription("run folder; an unfinished run there goes on"))

/** The split that is learned from or looked at. */
export const split = Flag.String("split").pipe(
  Flag.withDescription("which part of the images"),
  Flag.withDefault("train")
)

/** The names in a list, each once. */
export const names = (list: string): ReadonlyArray<string> => [...new Set(list.split(","))]

/** The splits that a network is tested on. */
export const tests = Flag.String("tests").pipe(
  Flag.withDescription("splits to test on, as val,in-new"),
  Flag.withDefault("val"),
  Flag.map(names)
)

/** How the classes of the tested splits may differ from those that are learned. */
export const classes = Flag.Literals("classes", Classes.Rule.literals).pipe(
  Flag.withDescription(
    "same: every split has the same classes, by name; fewer: a tested split may lack some; subset: and answers are sought " +
      "among those that occur in it, as on ImageNet-A and -R"
  ),
  Flag.withDefault("same" as const)
)

/** Results for machines. */
export const json = Flag.Boolean("json").pipe(
  Flag.withDescription("print one JSON object on standard output, progress on standard error"),
  Flag.withDefault(false)
)
