/** `patchword plan`: what a run will ask for. */
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import * as Files from "../../layers/files/Files.ts"
import { Images } from "../../layers/images/Images.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as Card from "../../layers/pjrt/Card.ts"
import * as DevicePlan from "../../pipelines/DevicePlan.ts"
import * as Plan from "../../pipelines/Plan.ts"
import * as StageSteps from "../../pipelines/StageSteps.ts"
import * as AnnotatedBatches from "../../pipelines/training/AnnotatedBatches.ts"
import * as Batches from "../../pipelines/training/Batches.ts"
import * as Memory from "../../pipelines/training/Memory.ts"
import * as ConfigFlags from "../flags/ConfigFlags.ts"
import * as Described from "../flags/Described.ts"
import * as EngineFlags from "../flags/EngineFlags.ts"
import * as Flags from "../flags/Flags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as Services from "../flags/Services.ts"
import * as Count from "../terminal/Count.ts"
import * as Duration from "../terminal/Duration.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Print from "../terminal/Print.ts"

const UNKNOWN = "not measured"

const CARDS = Object.keys(Card.cards) as ReadonlyArray<Card.Name>

const figure = (value: number): string => value < 999.5 ? value.toPrecision(3) : String(Math.round(value))

/** The widths of the table's columns. */
const NAMES = 24
const VALUES = 14

const timeOf = ({ imagesPerSecond }: typeof Plan.StagePlan.Type, seconds: number | null): string =>
  seconds === null ? imagesPerSecond === null ? UNKNOWN : "none" : Duration.show(seconds, figure)

/** The parts of the configuration that a stage depends on. Pretraining needs the sizes of a tokenizer. */
const partsOf = (stage: Plan.PlanStage) =>
  stage === "segment" ? ["segmentation"] as const : stage === "probe" ? ["pretrain", stage] as const : [stage] as const

/** Makes the rows of a table, with a column for each stage. */
const rowsOf = <S>(stages: ReadonlyArray<S>) => (name: string, of: (stage: S) => string): string =>
  name.padEnd(NAMES) + stages.map((stage) => of(stage).padStart(VALUES)).join("")

const table = ({ engine, featureCache, machine: here, problems, stages }: Plan.Plan): string => {
  const row = rowsOf(stages)
  return [
    `${engine}, ${here.cores} cores, ${Memory.show(here.memory)}`,
    row("", ({ stage }) => stage),
    row("parameters", ({ parameters }) => Count.show(parameters)),
    row("GFLOP per image", ({ flopsPerImage }) => figure(flopsPerImage / 1e9)),
    row("batch", ({ batchSize }) => String(batchSize)),
    row("images per second", ({ imagesPerSecond }) => imagesPerSecond === null ? UNKNOWN : figure(imagesPerSecond)),
    row("steps per epoch", ({ stepsPerEpoch }) => String(stepsPerEpoch)),
    row("steps", ({ steps }) => String(steps)),
    row("time per epoch", (stage) => timeOf(stage, stage.secondsPerEpoch)),
    row("time", (stage) => timeOf(stage, stage.seconds)),
    row("memory, about", ({ memory }) => Memory.show(memory)),
    row("checkpoints, weights", ({ disk }) => Memory.show(disk)),
    ...(featureCache === 0 ? [] : [
      "feature cache, optional".padEnd(NAMES) + Memory.show(featureCache).padStart(VALUES),
      "A teacher's own time and memory are not counted. It takes none when its features are cached."
    ]),
    ...problems.map((problem) => `! ${problem}`)
  ].join("\n")
}

const deviceTable = ({ device, memory, precision, problems, stages }: DevicePlan.DevicePlan): string => {
  const row = rowsOf(stages)
  return [
    `${device}, ${Memory.show(memory)}, ${precision}, by XLA's compiler`,
    row("", ({ stage }) => stage),
    row("batch", ({ batchSize }) => String(batchSize)),
    row("state", ({ state }) => Memory.show(state)),
    row("memory", ({ memory }) => Memory.show(memory)),
    row("launches of a step", ({ launches }) => String(launches)),
    row("of them products", ({ products }) => String(products)),
    row("reads and writes", ({ traffic }) => Memory.show(traffic)),
    "Nothing was measured, so that no time is told.",
    ...problems.map((problem) => `! ${problem}`)
  ].join("\n")
}

/** The command. */
export const plan = Command.make("plan", {
  ...ConfigFlags.flags,
  ...ImagesFlags.flags,
  split: Flags.split,
  teacherWidth: Flag.Int("teacher-width").pipe(
    Flag.filter((width) => width >= 1 && width <= 65_536, () => "a whole number from 1 to 65536"),
    Described.withDefault("channels of the teacher's features: 48 of hog, 512 of CLIP ViT-B, 768 of DINO ViT-B", 48)
  ),
  stages: Flag.String("stages").pipe(
    Described.withDefault(
      `one or more of ${Plan.PlanStage.literals.join(", ")}; segment needs images with classes of pixels`,
      StageSteps.COMMON.join(",")
    ),
    Flag.map(Flags.names)
  ),
  ...EngineFlags.flags,
  device: Flag.Literals("device", CARDS).pipe(
    Described.optional("a GPU that need not be here: what XLA's compiler says of it, see setup xla", "none")
  ),
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    const stages = yield* Effect.forEach(given.stages, Config.decode(Plan.PlanStage, "--stages"))
    const trained = stages.filter((stage) => stage !== "probe")
    // Pretraining needs the sizes of a tokenizer.
    yield* ConfigFlags.onlyOf([...new Set(["tokenizer" as const, ...stages.flatMap(partsOf)])], given)
    const preset = yield* ConfigFlags.resolve(given)
    const loaded = Effect.flatMap(Images, ({ load }) => load(given.split))
    const colours = preset.tokenizer.augment
    const pixelClassesOf = (set: ImageSet) =>
      stages.includes("segment")
        ? Effect.map(AnnotatedBatches.annotated(set), ({ pixelClasses }) => pixelClasses.length)
        : Effect.succeed(1)
    const planned = Effect.gen(function*() {
      const set = yield* loaded
      const found = yield* Plan.plan(preset, {
        images: set.length,
        classes: set.classes.length,
        pixelClasses: yield* pixelClassesOf(set),
        teacherWidth: given.teacherWidth,
        free: yield* Files.free("."),
        stages
      })
      yield* Console.log(given.json ? JSON.stringify({ ...found, ...Print.missing([set]) }) : table(found))
      const [first] = trained
      if (first !== undefined && found.stages.every(({ stepsPerEpoch }) => stepsPerEpoch === 0)) {
        const { accumulate = 1, batchSize } = yield* StageSteps.optimizerOf(preset, first)
        const { length: images, name } = set
        return yield* Batches.tooFewImages({ stage: first, set: name, images, batchSize, batches: accumulate })
      }
    })
    if (Option.isNone(given.device)) {
      return yield* planned.pipe(Effect.provide(Services.imagesAndEngine(given, { augment: colours })))
    }
    const set = yield* loaded.pipe(Effect.provide(ImagesFlags.layer(given, colours)))
    const found = yield* DevicePlan.devicePlan(preset, {
      card: given.device.value,
      classes: set.classes.length,
      pixelClasses: yield* pixelClassesOf(set),
      precision: given.precision,
      stages: trained,
      teacherWidth: given.teacherWidth
    })
    yield* Console.log(given.json ? JSON.stringify({ ...found, ...Print.missing([set]) }) : deviceTable(found))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("estimate the time, memory and disk of a run, and what would not fit"),
    Command.withExamples([
      { command: "patchword plan --preset base --images imagenet.yaml --teacher-width 512" },
      { command: "patchword plan --preset base --images imagenet.yaml --teacher-width 512 --device h200" }
    ])
  )
