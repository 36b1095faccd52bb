/** `patchword predict`: images to classes. */
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Csv from "../../domain/values/Csv.ts"
import * as Files from "../../layers/files/Files.ts"
import { Images } from "../../layers/images/Images.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as Predict from "../../pipelines/evaluate/Predict.ts"
import * as Described from "../flags/Described.ts"
import * as EngineFlags from "../flags/EngineFlags.ts"
import * as Flags from "../flags/Flags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as OutputFile from "../flags/OutputFile.ts"
import * as Services from "../flags/Services.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Print from "../terminal/Print.ts"

type Lines = (set: ImageSet, classes: ReadonlyArray<string>) => (image: Predict.Predicted) => string

const asJson: Lines = (set) => ({ index, predictions }) => JSON.stringify({ image: set.describe(index), predictions })

/** Names of images are cut beyond so many characters, and those of classes no longer stand in columns. */
const LONGEST = 48

const longest = (texts: Iterable<string>): number => Array.from(texts).reduce((a, { length }) => Math.max(a, length), 0)

const asTable: Lines = (set, classes) => {
  const width = Math.min(LONGEST, longest(Array.from(set.labels.keys(), set.describe)))
  const column = Math.min(LONGEST, longest(classes))
  return ({ index, predictions }) => {
    const name = set.describe(index)
    const shown = name.length > width ? `…${name.slice(1 - width)}` : name.padEnd(width)
    const cells = predictions.map((one) =>
      `${one.class.padEnd(column)} ${(100 * one.probability).toFixed(1).padStart(5)} %`
    )
    return `${shown}  ${cells.join("  ")}`
  }
}

const asCsv: Lines = (set) => ({ index, predictions }) =>
  Csv.line([set.describe(index), ...predictions.flatMap((one) => [one.class, one.probability])])

const header = (top: number): string =>
  Csv.line(["image", ...Array.from({ length: top }, (_, i) => [`class_${i + 1}`, `probability_${i + 1}`]).flat()])

/** The command. */
export const predict = Command.make("predict", {
  classifier: Argument.String("classifier").pipe(
    Argument.withDescription(
      "a run with a classifier, RUN/STAGE, a weights file, or a folder of the Hugging Face Hub"
    )
  ),
  ...ImagesFlags.flags,
  broken: Flag.Literals("broken", ["skip", "fail"]).pipe(
    Described.withDefault(
      "broken images are left out, named and counted (skip, with --check contents), or end the command (fail)",
      "skip"
    )
  ),
  ...EngineFlags.flags,
  split: Flags.split,
  top: Flag.Int("top").pipe(
    Flag.filter((top) => top >= 1, () => "1 or more"),
    Described.withDefault("the number of classes of each image, the most probable first", 5)
  ),
  out: Flag.File("out").pipe(
    Described.optional(
      "a CSV file with the columns image, class_1, probability_1, ...",
      "none; a table is printed, or lines of JSON with --json"
    )
  ),
  replace: OutputFile.replace,
  json: Described.flag(
    "json",
    "print a line of JSON for each image; with --out one object that describes the file"
  )
}, (given) =>
  Effect.gen(function*() {
    yield* OutputFile.check({ ...given, ending: ".csv" })
    const classifier = NetworkFlags.withColour(
      yield* NetworkFlags.chosen(given.classifier, Artifact.classifier),
      given.colour
    )
    yield* Effect.gen(function*() {
      const set = yield* (yield* Images).load(given.split)
      yield* ImagesFlags.checkDivision(classifier.provenance, [set])
      const { json, out } = given
      const top = Math.min(given.top, classifier.classes.length)
      if (Option.isNone(out)) {
        const line = (json ? asJson : asTable)(set, classifier.classes)
        return yield* Predict.predict(
          classifier,
          set,
          (some) => Console.log(some.map(line).join("\n")),
          { top }
        )
      }
      const line = asCsv(set, classifier.classes)
      const files = yield* Files.make
      yield* files.writeTexts(out.value, (append) =>
        Effect.andThen(
          append(header(top)),
          Predict.predict(classifier, set, (some) => append(some.map(line).join("")), { top })
        ))
      yield* Print.result(json, { file: out.value, images: set.length, top }, [set])
    }).pipe(Effect.provide(Services.imagesAndEngine(given, classifier.config.augment)))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("name the classes that a trained classifier sees in images, with their probabilities"),
    Command.withExamples([
      { command: "patchword predict runs/one/finetune --images photos" },
      { command: "patchword predict runs/one/finetune --images photos --top 1 --out classes.csv" }
    ])
  )
