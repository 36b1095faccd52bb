/** `patchword demo`: the whole method on real images. */
import { Console, Effect, Layer, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Images from "../../layers/images/Images.ts"
import * as Progress from "../../layers/run/Progress.ts"
import * as Runs from "../../layers/run/Runs.ts"
import * as Teacher from "../../layers/teacher/Teacher.ts"
import * as Demo from "../../pipelines/Demo.ts"
import * as Expectations from "../../pipelines/report/Expectations.ts"
import type * as ReportPage from "../../pipelines/report/ReportPage.ts"
import * as ConfigFlags from "../flags/ConfigFlags.ts"
import * as Described from "../flags/Described.ts"
import * as EngineFlags from "../flags/EngineFlags.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Failure from "../terminal/Failure.ts"
import * as ReportTable from "../terminal/ReportTable.ts"

/** The makers of the demo's pictures. */
export const credits: ReadonlyArray<ReportPage.Credit> = [
  { name: "Noto Emoji", author: "Google", licence: "Apache-2.0", url: "https://github.com/googlefonts/noto-emoji" },
  { name: "Twemoji", author: "Twitter", licence: "CC-BY-4.0", url: "https://github.com/twitter/twemoji" },
  { name: "EmojiOne 2", author: "EmojiOne", licence: "CC-BY-4.0", url: "https://github.com/EmojiTwo/emojitwo" },
  { name: "Noto Emoji v1", author: "Google", licence: "Apache-2.0", url: "https://github.com/googlefonts/noto-emoji" },
  { name: "Fluent Emoji", author: "Microsoft", licence: "MIT", url: "https://github.com/microsoft/fluentui-emoji" }
]

/** The command. */
export const demo = RunPlace.command("demo", { out: "owned" }, {
  ...ConfigFlags.flags,
  ...EngineFlags.flags,
  out: Flag.String("out").pipe(
    Described.withDefault("run folder, or s3://BUCKET/PREFIX; a run there that is not finished goes on", "runs/demo")
  )
}, (given) =>
  Effect.gen(function*() {
    const { out } = given
    yield* ConfigFlags.onlyOf(ConfigFlags.STAGES.filter((name) => name !== "segmentation"), given)
    const name = yield* ConfigFlags.presetName(given)
    const preset = yield* ConfigFlags.resolve({ ...given, preset: Option.some(name) })
    const { augment, encoder: { imageSize, patchSize }, seed } = preset.tokenizer
    const services = Layer.mergeAll(
      EngineFlags.layer(given, { network: preset.pretrain.vit }),
      Teacher.layerHog({ patchSize, imageSize, seed, augment }),
      Runs.layer(out, { config: yield* ConfigFlags.toJson(preset), stages: ConfigFlags.NAMES })
    ).pipe(Layer.provideMerge(Images.layerEmoji()), Layer.provideMerge(Progress.layerTerminal()))
    const report = yield* Demo.demo(preset, { preset: name, credits }).pipe(Effect.provide(services))
    yield* Console.log(ReportTable.render(report))
    yield* Console.log([...Expectations.lines(report), `The report is ${out}/report.html`].join("\n"))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription(
      "run the whole method on emoji, in minutes, and write a report; patchword help images says where the emoji come from"
    ),
    Command.withExamples([{ command: "patchword demo --seed 1 --out runs/second" }])
  )
