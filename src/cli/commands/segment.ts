/** `patchword segment`: train a network to classify pixels, and measure it. */
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import * as Files from "../../layers/files/Files.ts"
import { Images } from "../../layers/images/Images.ts"
import * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as Segmentation from "../../pipelines/evaluate/Segmentation.ts"
import * as SegmentationPage from "../../pipelines/report/SegmentationPage.ts"
import { segment as train, type SegmentStart, settingsOf } from "../../pipelines/Segment.ts"
import { segmentFrozen } from "../../pipelines/SegmentFrozen.ts"
import * as Network from "../../pipelines/trained/Network.ts"
import type * as Segmenter from "../../pipelines/trained/Segmenter.ts"
import * as AnnotatedBatches from "../../pipelines/training/AnnotatedBatches.ts"
import * as ConfigFlags from "../flags/ConfigFlags.ts"
import * as ContinueFlags from "../flags/ContinueFlags.ts"
import * as Described from "../flags/Described.ts"
import * as Flags from "../flags/Flags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as RunConfig from "../flags/RunConfig.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Services from "../flags/Services.ts"
import * as TrainingFlags from "../flags/TrainingFlags.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Print from "../terminal/Print.ts"
import * as SegmentationTable from "../terminal/SegmentationTable.ts"

/** Images on the page, for each split. */
const EXAMPLES = 8

/** The sizes in which images are looked at for published results. */
const RATIOS = [0.5, 0.75, 1, 1.25, 1.5, 1.75]

/** The command. */
export const segment = RunPlace.command("segment", { from: "networks", continue: "all", out: "owned" }, {
  from: Flag.String("from").pipe(
    Described.required(
      "the network to begin with: a run with a pretrained or a fine-tuned network, RUN/STAGE, or a folder of the Hugging Face Hub"
    )
  ),
  frozen: Described.flag(
    "frozen",
    "learn a linear head alone, by logistic regression on the features of the network, as the stage segment-frozen"
  ),
  tests: Flags.tests,
  multiScale: Described.flag(
    "multi-scale",
    "look at each tested image in six sizes, plain and mirrored; it takes twelve times as long and more"
  ),
  randomBaseline: Described.flag(
    "random-baseline",
    "train from random weights, too, as the stage segment-random, to see what pretraining gave; it takes as long again"
  ),
  ...TrainingFlags.flags
}, (given) =>
  Effect.gen(function*() {
    yield* ConfigFlags.onlyOf(["segmentation"], given)
    const preset = yield* RunConfig.begin(given, Option.some(given.from))
    const config = yield* settingsOf(preset)
    const stage = given.frozen ? "segment-frozen" : "segment"
    const continueFrom = yield* ContinueFlags.resolve(given, stage)
    if (given.frozen && continueFrom !== undefined) {
      return yield* Config.refusal(
        "--continue",
        "expected none with --frozen, which takes no steps",
        "leave out --continue"
      )
    }
    const start = yield* NetworkFlags.chosen(given.from, Artifact.trained)
    yield* Effect.gen(function*() {
      const { load } = yield* Images
      const seen = yield* AnnotatedBatches.annotated(yield* load(given.split))
      const sets = yield* Effect.forEach(
        given.tests,
        (split) => Effect.flatMap(load(split), AnnotatedBatches.annotated)
      )
      yield* ImagesFlags.checkDivision(start.provenance, [seen, ...sets])
      // Before hours of training, not after.
      yield* Effect.forEach(sets, (set) => AnnotatedBatches.checkClasses(set, seen.pixelClasses), { discard: true })
      if (given.check === "contents") yield* Effect.forEach(sets, AnnotatedBatches.checkLabels, { discard: true })
      const measured = Effect.fnUntraced(function*(from: SegmentStart, name: string) {
        const trained: Segmenter.Segmenter = given.frozen
          ? yield* segmentFrozen(config, from, { split: given.split, stage: name })
          : yield* train(config, from, {
            split: given.split,
            stage: name,
            ...(name === stage ? { continueFrom } : {})
          })
        const looks = given.multiScale ? { ratios: RATIOS, flip: true } : {}
        return yield* Effect.forEach(
          sets,
          (set) => Segmentation.evaluateSegmenter(trained, set, { ...looks, examples: EXAMPLES })
        )
      })
      const found = yield* measured(start, stage)
      const random = given.randomBaseline
        ? yield* measured(Network.untrained(start), `${stage}-random`)
        : undefined
      const figures: SegmentationPage.Figures = {
        stage,
        found: found.map(({ scores }) => scores),
        ...(random === undefined ? {} : { random: random.map(({ scores }) => scores) })
      }
      const { path, write } = yield* Files.make
      const [page, file] = [path.join(given.out, `${stage}.html`), path.join(given.out, `${stage}.json`)]
      const examples = found.flatMap(({ examples, scores: { split } }) => examples.map((one) => ({ ...one, split })))
      yield* write(page, yield* SegmentationPage.render(figures, examples))
      yield* write(file, `${JSON.stringify(figures, null, 2)}\n`)
      const fields = { stage, weights: `${given.out}/stages/${stage}.safetensors`, figures: file, page }
      if (given.json) return yield* Print.result(true, { ...fields, ...figures }, [seen, ...sets])
      yield* Print.result(false, fields, [seen, ...sets])
      yield* Console.log(`\n${SegmentationTable.render(figures)}`)
    }).pipe(
      Effect.provide(Services.training(given, start.config, yield* Services.runConfig(preset, given)))
    )
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("train a network to classify pixels (semantic segmentation), and measure it by mIoU"),
    Command.withExamples([
      {
        command:
          "patchword segment --from runs/demo/pretrain --images scenes --tests in-new --frozen --random-baseline --out runs/scenes"
      },
      { command: "patchword segment --from runs/demo/pretrain --images scenes --tests val,in-new --out runs/scenes" },
      { command: "patchword segment --from runs/base --preset base --images ade20k.yaml --out runs/ade20k" }
    ])
  )
