import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Runtime } from "effect"
import { CliOutput, Command, type HelpDoc } from "effect/cli"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { patchword } from "../../src/cli/patchword.ts"
import * as Topics from "../../src/cli/terminal/Topics.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"
import * as Images from "../../src/layers/images/Images.ts"
import { hearing, said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-help-"))

const docOf = (verb: ReadonlyArray<string>) => {
  const docs: Array<HelpDoc.HelpDoc> = []
  const presenter = CliOutput.layerPresenter({
    present: (event) => Effect.sync(() => void (event._tag === "Help" && docs.push(event.helpDoc)))
  })
  return Command.runWith(patchword, { version: "0" })([...verb, "--help"]).pipe(
    Effect.provide(presenter),
    Effect.map(() => docs[0]!)
  )
}

const verbsUnder = (
  verb: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<HelpDoc.HelpDoc>, unknown, Command.Environment> =>
  Effect.gen(function*() {
    const doc = yield* docOf(verb)
    const names = (doc.subcommands ?? []).flatMap(({ commands }) => commands.map(({ name }) => name))
    const below = yield* Effect.forEach(names, (name) => verbsUnder([...verb, name]))
    return [doc, ...below.flat()]
  })

const failed = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  const told: Array<string> = []
  const lines: Array<string> = []
  const error = yield* Effect.flip(Effect.tap(said(...args), (text) => Effect.sync(() => lines.push(text)))).pipe(
    hearing(told)
  )
  assert.deepStrictEqual(lines, [])
  return { told: told.join("\n"), code: (error as { readonly [Runtime.errorExitCode]: number })[Runtime.errorExitCode] }
})

describe("the help", () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.effect("lists the stages that a plan can have", () =>
    Effect.gen(function*() {
      const text = (yield* said("help", "plan")).replaceAll(/\s+/g, " ")
      assert.include(text, "one or more of tokenizer, pretrain, finetune")
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("tells of every flag its default, or that it is required", () =>
    Effect.gen(function*() {
      const docs = yield* verbsUnder([])
      assert.isAbove(docs.length, 15)
      for (const { args = [], commandPath = [], examples = [], flags, subcommands } of docs) {
        const verb = commandPath.slice(1)
        const text = yield* said("help", ...verb)
        for (const line of text.split("\n")) {
          if (!line.trim().startsWith("patchword")) assert.isAtMost(line.length, 100, line)
        }
        for (const { description, name, required } of flags) {
          const told = Option.getOrThrow(description)
          const place = `${verb.join(" ")} --${name}: ${told}`
          if (required) assert.notMatch(told, /default/, place)
          else assert.match(told, /\(default: [^)]+\)/, place)
          if (required) assert.include(text.replaceAll(/\s+/g, " "), `${told} (required)`, place)
        }
        for (const { description, name } of args) {
          assert.isTrue(Option.isSome(description), `${verb.join(" ")} ${name}`)
        }
        if (subcommands === undefined) assert.isAbove(examples.length, 0, verb.join(" "))
      }
      const preset = docs.flatMap(({ flags }) => flags).find(({ name }) => name === "preset")!
      assert.include(Option.getOrThrow(preset.description), `(choices: ${Object.keys(Presets.all).join(", ")})`)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("is short where no verb is given, and in groups", () =>
    Effect.gen(function*() {
      const bare = yield* Effect.flip(said())
      assert.strictEqual((bare as { readonly [Runtime.errorExitCode]: number })[Runtime.errorExitCode], 0)
      const text = yield* said("--help")
      assert.strictEqual(yield* said("help"), text)
      for (const group of ["START HERE", "TRAIN", "EVALUATE", "USE WHAT WAS LEARNED", "LOOK AND PLAN"]) {
        assert.include(text, `\n${group}\n`)
      }
      const readme = readFileSync("README.md", "utf8")
      const verbs = [...text.matchAll(/^ {2}(\w+) {2,}\w/gm)].map(([, verb]) => verb!)
      const listed = [...readme.matchAll(/^patchword (\w+) /gm)].map(([, verb]) => verb!)
      assert.includeMembers(verbs, listed)
      assert.includeMembers([...listed, "demo"], verbs)
      assert.match((yield* failed("dmo")).told, /patchword has no command "dmo", did you mean demo\?/)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect.each([["nope"], ["images", "train"], ["tokenizer", "nope"], ["engines", "onnx-cpu"]])(
    "knows nothing about %j",
    (words) =>
      Effect.gen(function*() {
        const { code, told } = yield* failed("help", ...words)
        assert.strictEqual(code, 64)
        assert.include(told, `there is no help on "${words.join(" ")}"`)
      }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("suggests what was meant", () =>
    Effect.gen(function*() {
      assert.include((yield* failed("help", "imges")).told, "did you mean \"images\"?")
      assert.include((yield* failed("help", "tokenizer", "trian")).told, "did you mean \"tokenizer train\"?")
      assert.include((yield* failed("help", "train")).told, "did you mean \"tokenizer train\"?")
      assert.match(
        (yield* failed("help", "qqqqqqqqqqqq")).told,
        /choose a topic \(images, .*\) or a verb \(demo, help, tokenizer/
      )
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect.each<readonly [ReadonlyArray<string>, string]>([
    [["pretrain", "--epochs", "9"], "--epochs is a value of the configuration: --set pretrain.optimizer.epochs=VALUE"],
    [["pretrain", "--learning-rate", "1"], "--set pretrain.optimizer.lr=VALUE"],
    [["tokenizer", "train", "--n-embed", "9"], "--set tokenizer.codebook.size=VALUE"],
    [["finetune", "--batch-size", "9"], "--set finetune.optimizer.batchSize=VALUE"],
    [["pretrain", "--data-path", "x"], "--data-path is --images here"],
    [["pretrain", "--output-dir", "x"], "--output-dir is --out here"],
    [["pretrain", "--device", "cuda"], "--device is --engine here"]
  ])(
    "knows what is meant by %j",
    ([args, told]) =>
      Effect.map(failed(...args), (found) => assert.include(found.told, told)).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect.each<readonly [ReadonlyArray<string>, string]>([
    [["plan", "--set"], "--set has no value, expected key=value; write it as --set pretrain.optimizer.lr=0.001"],
    [["plan", "--set", "seed"], "--set: expected key=value, got \"seed\"; write it as --set"],
    [
      ["config", "--epochs", "3"],
      "patchword config has no flag --epochs; --epochs is a value of the configuration: --set"
    ],
    [["plan", "--stages", "foo"], "--stages: expected tokenizer, pretrain, finetune, segment or probe, got \"foo\""],
    [["plan", "--engine", "foo"], "--engine: expected onnx, openvino, tensorflow, xla, reference or auto, got \"foo\""],
    [["plan", "--threads", "x"], "--threads: expected a number, got \"x\""],
    [["plan", "--seed", "1", "--seed", "2"], "--seed is given 2 times, but takes one value"],
    [["plan", "--split"], "--split has no value, expected a text"],
    [
      ["plan", "--thraeds", "1"],
      "patchword plan has no flag --thraeds, did you mean --threads? See patchword help plan."
    ],
    [["inspect"], "the argument path is missing; see patchword help inspect"],
    [["inspect", "a", "b"], "patchword inspect does not take \"b\""],
    [["inspect", "-1.jpg"], "\"-1.jpg\" begins with a dash, so it looks like a flag; write ./-1.jpg"],
    [["plan", "--images", "-1.jpg"], "-1.jpg: there is no such file; check the path"],
    [["plan", "--images", "nope.jpg"], "nope.jpg: there is no such file; check the path"],
    [["plan", "--images", "nope"], "nope: there is no such folder; check the path"]
  ])("says in a sentence what is wrong with %j", ([args, told]) =>
    Effect.gen(function*() {
      const found = yield* failed(...args)
      const lines = found.told.split("\n").filter((line) => line.trim() !== "" && !/ERROR|\(default\)$/.test(line))
      assert.strictEqual(lines.length, 1, found.told)
      assert.include(lines[0]!, told)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("says for each flag in words which values it takes", () =>
    Effect.gen(function*() {
      const raw = /expected expected|Expected|Path |representing|Failed|Invalid|undefined|\bstring\b|got .*, got/
      const [file, long] = [join(folder, "a-file"), "x".repeat(5000)]
      writeFileSync(file, "")
      const wrong: Readonly<Record<string, ReadonlyArray<string>>> = {
        integer: ["x", "1.5", "1e999", "1,5", " "],
        number: ["x", "NaN", "Infinity"],
        file: [folder, long, join(file, "below")],
        directory: [file, long],
        "key=value": ["x", "=1", "x="],
        boolean: ["maybe"]
      }
      const edges: Readonly<Record<string, string>> = {
        threads: "-1",
        holdout: "1",
        "pixel-limit": "0",
        top: "0",
        batch: "0",
        seconds: "0",
        seed: "0.5",
        "teacher-skip": "-1",
        "teacher-heads": "0",
        "teacher-width": "0"
      }
      const tried = new Set<string>()
      for (const { args = [], commandPath = [], flags, subcommands } of yield* verbsUnder([])) {
        if (subcommands !== undefined) continue
        const operands = args.filter(({ required }) => required).map(({ name }) => name === "repository" ? "a/b" : "x")
        for (const { description, name, type } of flags) {
          const flag = `--${name} ${Option.getOrThrow(description)}`
          if (tried.has(flag)) continue
          tried.add(flag)
          const others = flags.filter((other) => other.required && other.name !== name)
            .flatMap((other) => [`--${other.name}`, other.name === "what" ? "codes" : "x"])
          const values = [
            ...(wrong[type] ?? (type.includes("|") || type === "choice" ? ["nope", ""] : [])),
            ...(edges[name] === undefined ? [] : [edges[name]])
          ]
          for (const value of values) {
            const { code, told } = yield* failed(...commandPath.slice(1), ...operands, ...others, `--${name}=${value}`)
            const place = `${commandPath.join(" ")} --${name}=${value.slice(0, 20)}: ${told.slice(0, 300)}`
            assert.strictEqual(code, 64, place)
            assert.match(told, new RegExp(`--${name}(: expected | has no value)`), place)
            assert.notMatch(told, raw, place)
            assert.isBelow(told.length, 1000, place)
          }
        }
      }
      assert.isAbove(tried.size, 50)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("has the exit codes of the README", () =>
    Effect.gen(function*() {
      const topic = yield* said("help", "exit-codes")
      const readme = readFileSync("README.md", "utf8")
      const codes = [...readme.matchAll(/^\| (\d[\d, ]*) \|/gm)].map(([, code]) => code!)
      assert.isAbove(codes.length, 5)
      for (const code of codes) assert.include(topic, `\n  ${code} `)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("explains topics", () =>
    Effect.gen(function*() {
      for (const topic of Topics.names) {
        const text = yield* said("help", topic)
        for (const line of text.split("\n")) assert.isAtMost(line.length, 110, line)
        for (const [, verb] of text.matchAll(/^ {2}patchword (\w+(?: train| cache)?)/gm)) {
          assert.isNotEmpty(yield* said("help", ...verb!.split(" ")))
        }
      }
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("shows a manifest that is read, and is the page's text", () =>
    Effect.gen(function*() {
      const text = yield* said("help", "images")
      assert.include(readFileSync("docs/images.md", "utf8"), text.slice(text.indexOf("\n\n") + 2))
      const manifest = text.slice(text.indexOf("  root:"), text.indexOf("  A split also"))
      writeFileSync(join(folder, "manifest.yaml"), manifest.replace("/data/imagenet", ".").replaceAll(/^ {2}/gm, ""))
      writeFileSync(join(folder, "synsets.txt"), "n01440764 tench\nn01443537 goldfish\n")
      for (const place of ["train/n01440764", "val"]) mkdirSync(join(folder, place), { recursive: true })
      const image = Buffer.from(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
        "base64"
      )
      writeFileSync(join(folder, "train/n01440764/1.png"), image)
      writeFileSync(join(folder, "val/2.png"), image)
      writeFileSync(join(folder, "val.txt"), "2.png 1\n")
      const { load } = yield* Effect.provide(Images.Images, Images.layerManifest(join(folder, "manifest.yaml"), {}))
      assert.deepStrictEqual((yield* load("train")).classes, ["tench", "goldfish"])
      assert.deepStrictEqual([...(yield* load("val")).labels], [1])
    }).pipe(Effect.provide(NodeServices.layer)))
})

describe("a failure for a program", () => {
  const object = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
    const { code, told } = yield* failed(...args, "--json")
    const last = JSON.parse(told.split("\n").at(-1)!) as Readonly<Record<string, unknown>>
    assert.strictEqual(last.exitCode, code)
    return { ...last, lines: told.split("\n").length }
  })

  it.effect("is one object, of any kind", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, object]> = [
        [["nope"], { tag: "UnknownSubcommand", exitCode: 64, lines: 1, remedy: "see patchword help" }],
        [["help", "nope"], { tag: "UnknownTopic", exitCode: 64, lines: 1 }],
        [["probe"], { tag: "MissingArgument", exitCode: 64, lines: 1, remedy: "see patchword help probe" }],
        [["plan", "--thraeds", "1"], { tag: "UnrecognizedOption", exitCode: 64, lines: 1 }],
        [["plan", "--threads", "x"], { tag: "InvalidValue", exitCode: 64, lines: 1 }],
        [["plan", "--threads", "99999"], { tag: "InvalidValue", exitCode: 64, lines: 1 }],
        [["plan", "--preset", "bas"], {
          tag: "ConfigError",
          exitCode: 64,
          lines: 1,
          message: "preset: expected one of tiny, base, base300, basePaper, large, large300, " +
            "largePaper, 24x544, huge14, giant14, got \"bas\"; did you mean base? Choose one of these."
        }],
        [["inspect", join(folder, "none")], {
          tag: "FileError",
          exitCode: 66,
          lines: 1,
          file: join(folder, "none"),
          message: `${join(folder, "none")}: there is no such file; check the path`,
          remedy: "check the path"
        }],
        [["plan", "--preset", "tiny", "--images", join(folder, "none")], {
          tag: "FolderMissing",
          exitCode: 66,
          lines: 1,
          file: join(folder, "none"),
          remedy: "check the path"
        }]
      ]
      for (const [args, expected] of cases) assert.deepInclude(yield* object(...args), expected, args.join(" "))
    }).pipe(Effect.provide(NodeServices.layer)))
})

describe("what is chosen by default", () => {
  it.effect("is said once", () =>
    Effect.gen(function*() {
      const { told } = yield* failed("plan", "--split", "nope")
      assert.deepStrictEqual(told.split("\n").filter((line) => line.includes("default")), [
        "preset: tiny (default)",
        "images: emoji (default; --images names others)"
      ])
      const named = yield* failed("plan", "--split", "nope", "--preset", "tiny", "--images", "emoji")
      assert.notInclude(named.told, "default")
    }).pipe(Effect.provide(NodeServices.layer)))
})
