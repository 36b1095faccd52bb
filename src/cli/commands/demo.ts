/** `patchword demo`: the whole method on real images. */
import { Console, Effect, Layer, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import * as Preset from "../../domain/Preset.ts"
import * as Presets from "../../domain/Presets.ts"
import * as Report from "../../domain/Report.ts"
import { Engine } from "../../layers/Engine.ts"
import { Images } from "../../layers/Images.ts"
import * as Progress from "../../layers/Progress.ts"
import { Runs } from "../../layers/Runs.ts"
import { Teacher } from "../../layers/Teacher.ts"
import * as Demo from "../../pipelines/Demo.ts"
import type * as ReportPage from "../../pipelines/ReportPage.ts"
import * as Failure from "../Failure.ts"
import * as Overrides from "../Overrides.ts"
import * as Table from "../Table.ts"

/** The makers of the demo's pictures. */
export const credits: ReadonlyArray<ReportPage.Credit> = [
  { name: "Noto Emoji", author: "Google", licence: "Apache-2.0", url: "https://github.com/googlefonts/noto-emoji" },
  { name: "Twemoji", author: "Twitter", licence: "CC-BY-4.0", url: "https://github.com/twitter/twemoji" },
  { name: "EmojiOne 2", author: "EmojiOne", licence: "CC-BY-4.0", url: "https://github.com/EmojiTwo/emojitwo" },
  { name: "Noto Emoji v1", author: "Google", licence: "Apache-2.0", url: "https://github.com/googlefonts/noto-emoji" },
  { name: "Fluent Emoji", author: "Microsoft", licence: "MIT", url: "https://github.com/microsoft/fluentui-emoji" }
]

const seeded = (preset: Preset.Preset, seed: number): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(preset).flatMap(([stage, config]) =>
      typeof config === "object" && config !== null && "seed" in config ? [[`${stage}.seed`, String(seed)]] : []
    )
  )

/** The command. */
export const demo = Command.make("demo", {
  preset: Flag.String("preset").pipe(
    Flag.withDescription("configuration: tiny takes minutes on two cores"),
    Flag.withDefault("tiny")
  ),
  out: Flag.String("out").pipe(
    Flag.withDescription("run folder; an unfinished run there goes on"),
    Flag.withDefault("runs/demo")
  ),
  seed: Flag.Int("seed").pipe(Flag.withDescription("names every random number"), Flag.withDefault(0)),
  threads: Flag.Int("threads").pipe(
    Flag.withDescription("threads of the engine; 0 for all cores"),
    Flag.filter((threads) => threads >= 0, (threads) => `expected at least 0, got ${threads}`),
    Flag.withDefault(0)
  ),
  set: Flag.KeyValuePair("set").pipe(
    Flag.withDescription("a value over the preset's, as pretrain.optimizer.lr=0.001"),
    Flag.withDefault({})
  )
}, ({ out, preset: name, seed, set, threads }) =>
  Effect.gen(function*() {
    const chosen = yield* Presets.preset(name)
    const preset = yield* Overrides.apply(chosen, { ...seeded(chosen, seed), ...set })
    const { encoder, augment } = preset.tokenizer
    const config = yield* Effect.orDie(Schema.encodeEffect(Preset.Preset)(preset))
    const services = Layer.mergeAll(
      Engine.layerOnnx(threads > 0 ? { threads } : {}),
      Teacher.layerHog({
        patchSize: encoder.patchSize,
        imageSize: encoder.imageSize,
        seed: preset.tokenizer.seed,
        augment
      }),
      Runs.layer(out, { config })
    ).pipe(Layer.provideMerge(Images.layerEmoji()), Layer.provideMerge(Progress.layerTerminal()))
    const report = yield* Demo.demo(preset, { preset: name, credits }).pipe(Effect.provide(services))
    yield* Console.log(Table.render(report))
    const missed = Report.verdicts(report).filter((verdict) => !verdict.reached)
    yield* Console.log(
      missed.length === 0
        ? `Every expected figure was reached. Look at ${out}/report.html`
        : `Below what is expected: ${
          missed.map(({ expectation }) => expectation.figure).join(", ")
        }. Look at ${out}/report.html`
    )
  }).pipe(Failure.plain)).pipe(
    Command.withDescription("train a tokenizer on emoji, pretrain on its codes, evaluate, and write a report"),
    Command.withExamples([{ command: "patchword demo --seed 1 --out runs/second" }])
  )
