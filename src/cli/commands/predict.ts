/** `patchword predict`: images to their classes, or to the classes of their pixels. */
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { Colour } from "../../domain/config/AugmentConfig.ts"
import * as Csv from "../../domain/values/Csv.ts"
import * as Files from "../../layers/files/Files.ts"
import { Images } from "../../layers/images/Images.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as Predict from "../../pipelines/evaluate/Predict.ts"
import { predictPixels } from "../../pipelines/evaluate/PredictPixels.ts"
import * as Described from "../flags/Described.ts"
import * as EngineFlags from "../flags/EngineFlags.ts"
import * as Flags from "../flags/Flags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as OutputFile from "../flags/OutputFile.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Services from "../flags/Services.ts"
import * as Failure from "../terminal/Failure.ts"
import * as LabelMaps from "../terminal/LabelMaps.ts"
import * as Layout from "../terminal/Layout.ts"
import * as Print from "../terminal/Print.ts"

type Lines = (set: ImageSet, classes: ReadonlyArray<string>) => (image: Predict.Predicted) => string

const asJson: Lines = (set) => ({ index, predictions }) => JSON.stringify({ image: set.describe(index), predictions })

/** Names of images are cut beyond so many characters, and those of classes no longer stand in columns. */
const LONGEST = 48

const longest = (texts: Iterable<string>): number => Array.from(texts).reduce((a, { length }) => Math.max(a, length), 0)

const asTable: Lines = (set, classes) => {
  const nameOf = (index: number) => Layout.plain(set.describe(index))
  const width = Math.min(LONGEST, longest(Array.from(set.labels.keys(), nameOf)))
  const column = Math.min(LONGEST, longest(classes.map(Layout.plain)))
  return ({ index, predictions }) => {
    const name = nameOf(index)
    const shown = name.length > width ? `…${name.slice(1 - width)}` : name.padEnd(width)
    const cells = predictions.map((one) =>
      `${Layout.plain(one.class).padEnd(column)} ${(100 * one.probability).toFixed(1).padStart(5)} %`
    )
    return `${shown}  ${cells.join("  ")}`
  }
}

const asCsv: Lines = (set) => ({ index, predictions }) =>
  Csv.line([set.describe(index), ...predictions.flatMap((one) => [one.class, one.probability])])

const header = (top: number): string =>
  Csv.line(["image", ...Array.from({ length: top }, (_, i) => [`class_${i + 1}`, `probability_${i + 1}`]).flat()])

/** The flags of both kinds of predictions. */
interface Given extends ImagesFlags.ImagesFlags, EngineFlags.EngineFlags {
  readonly colour: Option.Option<Colour>
  readonly split: string
  readonly top: number
  readonly out: Option.Option<string>
  readonly replace: boolean
  readonly json: boolean
}

const classes = Effect.fnUntraced(function*(given: Given, classifier: Artifact.Artifact<"Classifier">) {
  yield* OutputFile.check({ ...given, ending: ".csv" })
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
  }).pipe(Effect.provide(Services.imagesAndEngine(given, classifier.config)))
})

const pixels = Effect.fnUntraced(function*(given: Given, segmenter: Artifact.SegmenterArtifact) {
  const { json, out, replace, top } = given
  const folder = Option.getOrUndefined(out)
  if (folder !== undefined) yield* LabelMaps.checkFree(folder, replace)
  yield* Effect.gen(function*() {
    const set = yield* (yield* Images).load(given.split)
    yield* ImagesFlags.checkDivision(segmenter.provenance, [set])
    if (folder === undefined) {
      const line = LabelMaps.line(json, set, top)
      return yield* predictPixels(segmenter, set, (image) => Console.log(line(image)))
    }
    const maps = LabelMaps.of(set)
    const described = { classes: segmenter.classes, images: maps }
    yield* LabelMaps.write(folder, described, (put) => predictPixels(segmenter, set, put))
    const classes = `${folder}/${LabelMaps.CLASSES}`
    yield* Print.result(json, { folder, images: set.length, classes, maps: json ? maps : undefined }, [set])
  }).pipe(
    Effect.provide(Services.imagesAndEngine(given, {
      augment: Option.match(given.colour, { onNone: () => ({}), onSome: (colour) => ({ colour }) }),
      vit: segmenter.config.vit
    }))
  )
})

/** The command. */
export const predict = RunPlace.command("predict", { network: "networks" }, {
  network: Argument.String("network").pipe(
    Argument.withDescription(
      "a run with a classifier or a segmenter, RUN/STAGE, a weights file, or a folder of the Hugging Face Hub"
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
    Described.withDefault("the number of classes of each image, the most probable or the most frequent first", 5)
  ),
  out: Flag.Path("out").pipe(
    Described.optional(
      "a CSV file with the columns image, class_1, probability_1, ...; with a segmenter a folder of label maps, one PNG for each image",
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
    const found = yield* NetworkFlags.chosen(given.network, Artifact.predicting)
    yield* found._tag === "Segmenter"
      ? pixels(given, found)
      : classes(given, NetworkFlags.withColour(found, given.colour))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription(
      "name the classes that a trained classifier sees in images, or a trained segmenter in their pixels"
    ),
    Command.withExamples([
      { command: "patchword predict runs/one/finetune --images photos" },
      { command: "patchword predict runs/one/finetune --images photos --top 1 --out classes.csv" },
      { command: "patchword predict runs/scenes/segment --images photos --out labels" }
    ])
  )
