/** `patchword robustness`: how a network does on unusual and on corrupted images. */
import { Console, Effect, Layer, Option, Record } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import type { Corruption } from "../../domain/corruptions/Corruption.ts"
import * as RobustnessReport from "../../domain/evaluation/RobustnessReport.ts"
import * as Files from "../../layers/files/Files.ts"
import { Images } from "../../layers/images/Images.ts"
import * as Results from "../../layers/run/Results.ts"
import * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as Robustness from "../../pipelines/evaluate/Robustness.ts"
import * as TestFolders from "../../pipelines/evaluate/TestFolders.ts"
import * as RobustnessPage from "../../pipelines/report/RobustnessPage.ts"
import * as CorruptionFlags from "../flags/CorruptionFlags.ts"
import * as Described from "../flags/Described.ts"
import * as EngineFlags from "../flags/EngineFlags.ts"
import * as Flags from "../flags/Flags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Services from "../flags/Services.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Print from "../terminal/Print.ts"
import * as RobustnessTable from "../terminal/RobustnessTable.ts"

const layout = (name: string, text: string) =>
  Flag.String(name).pipe(Described.optional(`a folder of ${text}, with a sub-folder per class`, "not measured"))

const layouts = {
  imagenetA: layout("imagenet-a", "ImageNet-A"),
  imagenetR: layout("imagenet-r", "ImageNet-R"),
  sketch: layout("sketch", "ImageNet-Sketch"),
  imagenetC: Flag.String("imagenet-c").pipe(
    Described.optional(
      "a folder of ImageNet-C, as FOLDER/CORRUPTION/SEVERITY/CLASS/IMAGE",
      "corruptions are made of the images of --images"
    )
  )
}

const FOLDERS = {
  imagenetA: "--imagenet-a",
  imagenetR: "--imagenet-r",
  sketch: "--sketch",
  imagenetC: "--imagenet-c"
} as const

type Chosen = Artifact.Artifact<"Classifier"> | Artifact.Artifact<"Tokenizer">

const chosen = Effect.fnUntraced(function*(path: string) {
  const found = yield* NetworkFlags.chosen(path, Artifact.open, Artifact.classifier)
  if (found._tag !== "Backbone") return found satisfies Chosen
  return yield* Config.refusal(
    path,
    "expected a classifier or a tokenizer, got a backbone; finetune makes a classifier of it"
  )
})

/** The command. */
export const robustness = RunPlace.command("robustness", { network: "measured", out: "measured" }, {
  network: Argument.String("network").pipe(
    Argument.withDescription(
      "a run with a classifier, RUN/STAGE, a file of weights, or a folder of the Hugging Face Hub; or a tokenizer"
    )
  ),
  ...layouts,
  ...CorruptionFlags.flags,
  ...ImagesFlags.flags,
  split: Flag.String("split").pipe(
    Described.withDefault("the split of --images that is measured clean and corrupted", "val")
  ),
  ...EngineFlags.flags,
  out: Flag.Directory("out").pipe(
    Described.optional(
      "a folder for the figures and a page with a plot, as OUT/robustness-STAGE.html",
      "the run of the network"
    )
  ),
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    const network = NetworkFlags.withColour(yield* chosen(given.network), given.colour)
    const { augment } = network.config
    const size = network._tag === "Tokenizer" ? network.config.encoder.imageSize : network.config.vit.imageSize
    const folders = {
      imagenetA: Option.getOrUndefined(given.imagenetA),
      imagenetR: Option.getOrUndefined(given.imagenetR),
      sketch: Option.getOrUndefined(given.sketch),
      imagenetC: Option.getOrUndefined(given.imagenetC)
    }
    const [named] = Record.toEntries(FOLDERS).flatMap(([key, flag]) => folders[key] === undefined ? [] : [flag])
    if (network._tag === "Tokenizer" && named !== undefined) {
      return yield* Config.refusal(
        named,
        "expected a classifier; a tokenizer is measured on the images of --images"
      )
    }
    const isStored = folders.imagenetC !== undefined
    const corruptions = yield* CorruptionFlags.resolve(given, isStored)
    const tests = yield* TestFolders.tests(folders, corruptions, {
      check: given.check,
      onBroken: given.broken,
      ...Option.match(given.pixelLimit, { onNone: () => ({}), onSome: (pixelLimit) => ({ pixelLimit }) }),
      ...(augment.colour === undefined ? {} : { colour: augment.colour })
    })
    const frost = yield* CorruptionFlags.pictures(given, size)
    const stage = network.provenance?.stage ?? network._tag.toLowerCase()
    const folder = Option.isSome(given.out) ? given.out : yield* Results.runOf(given.network)
    // With sets of their own, the images of --images are optional.
    const hasClean = named === undefined || Option.isSome(given.images)
    const { report, sets } = yield* Effect.gen(function*() {
      const clean = hasClean ? yield* (yield* Images).load(given.split) : undefined
      const sets = clean === undefined ? [] : [clean]
      yield* ImagesFlags.checkDivision(network.provenance, sets)
      if (network._tag === "Tokenizer") {
        const found = yield* Robustness.changedCodes(network, clean!, corruptions, { seed: given.seed, frost })
        return {
          sets,
          report: RobustnessReport.make({ network: stage, measure: "changed codes", sets: [], corruptions: found })
        }
      }
      const ofClean = (corruption?: Corruption): Robustness.Test => ({
        name: given.split,
        corruption,
        load: Effect.succeed(clean!)
      })
      const made = isStored ? [] : corruptions.map(ofClean)
      const all = [...(clean === undefined ? [] : [ofClean(), ...made]), ...tests]
      const found = yield* Robustness.robustness(network, all, {
        network: stage,
        train: network.provenance?.dataDigest ?? "",
        folder,
        seed: given.seed,
        frost
      })
      const figureOf = ({ result: { images, interval, top1 } }: Robustness.Tested) => ({
        images,
        share: top1,
        interval
      })
      const report = RobustnessReport.make({
        network: stage,
        measure: "top-1",
        clean: given.split,
        alexnetClean: given.alexnetError,
        byOrder: [...new Set(found.flatMap(({ matching, test }) => matching === "order" ? [test.name] : []))],
        sets: found.flatMap((one) => {
          const { result: { paper, split: name }, test: { corruption } } = one
          return corruption === undefined ? [{ name, ...figureOf(one), ...(paper === undefined ? {} : { paper }) }] : []
        }),
        corruptions: found.flatMap((one) =>
          one.test.corruption === undefined ? [] : [{ ...one.test.corruption, ...figureOf(one) }]
        )
      })
      return { sets, report }
    }).pipe(
      Effect.provide(Layer.merge(Services.imagesAndEngine(given, { augment }), Print.progress(given.json)))
    )
    const { path, write } = yield* Files.make
    const page = Option.map(folder, (place) => path.join(place, `robustness-${stage}.html`))
    if (Option.isSome(page)) yield* write(page.value, RobustnessPage.render(report))
    const fields = { page: Option.getOrUndefined(page) }
    if (given.json) return yield* Print.result(true, { ...report, ...fields }, sets)
    yield* Print.result(false, { network: given.network, ...fields }, sets)
    yield* Console.log(`\n${RobustnessTable.render(report)}`)
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription(
      "measure a classifier on unusual and corrupted images, or how many codes of a tokenizer change"
    ),
    Command.withExamples([
      { command: "patchword robustness runs/one/finetune --images emoji --split in-new" },
      {
        command:
          "patchword robustness runs/base/finetune --imagenet-a imagenet-a --imagenet-r imagenet-r --sketch sketch " +
          "--imagenet-c imagenet-c --check names"
      },
      {
        command:
          "patchword robustness runs/one/tokenizer --images emoji --split in-new --corruptions fog,snow --severities 1,5"
      }
    ])
  )
