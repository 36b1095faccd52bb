import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Runtime } from "effect"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import sharp from "sharp"
import { afterAll, beforeAll } from "vitest"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import { classes } from "../pipelines/kit.ts"
import { draw, found, hearing, said, writeConfig } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-commands-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
const [run, images, config] = [at("run"), at("images"), at("micro.yaml")]

type BySplit = Readonly<Record<string, { readonly count: number; readonly first: ReadonlyArray<string> }>>

const refused = (...args: ReadonlyArray<string>) => Effect.flip(said(...args))

const common = ["--config", config, "--images", images, "--threads", "1"]
const plainly = ["--images", images, "--threads", "1"]

const tensors = (file: string) => Result.getOrThrow(Safetensors.decode(readFileSync(file))).tensors

describe("the commands", () => {
  beforeAll(async () => {
    writeConfig(config)
    await draw(at("images"))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.live(
    "take a vocabulary, a network and a classifier from images to a file for others",
    () =>
      Effect.gen(function*() {
        const tokenizer = yield* found("tokenizer", "train", ...common, "--out", run)
        assert.strictEqual(tokenizer.step, 2)
        assert.isTrue(existsSync(String(tokenizer.weights)))
        const evaluated = yield* found("tokenizer", "evaluate", run, "--tests", "val,test", ...plainly)
        const [onVal, onTest] = evaluated.figures as ReadonlyArray<Readonly<Record<string, number>>>
        assert.deepInclude(onTest!, { split: "test", images: 12 } as object)
        assert.closeTo(onVal!["reconstruction"]!, 1 - onVal!["cosine"]!, 1e-9)
        assert.strictEqual(onVal!["usedShare"], onVal!["usage"]! / 16)
        assert.match(
          yield* said("tokenizer", "evaluate", run, ...plainly),
          /val +12 +[01]\.\d{3} +\d+ of 16 +\d+\.\d +\d+\.\d/
        )
        const foreign = yield* refused("tokenizer", "evaluate", run, ...plainly, "--teacher", `run:${run}/tokenizer`)
        assert.include((foreign as Error).message, "expected the teacher hog with its 48 channels")
        const backbone = yield* found("pretrain", "--tokenizer", run, ...common, "--out", run)
        assert.isNumber((backbone.lastBatch as { readonly loss: number }).loss)
        assert.notProperty(backbone, "accuracy_1")
        const classifier = yield* found("finetune", "--from", run, "--tests", "val,test", ...common, "--out", run)
        assert.hasAllKeys(classifier.accuracy, ["val", "test"])

        const encoder = yield* found("finetune", "--from", `${run}/tokenizer`, ...common, "--out", at("encoder"))
        assert.hasAllKeys(encoder.accuracy, ["val"])
        assert.property(tensors(String(encoder.weights)), "pos_embed")

        const bare = at("bare.safetensors")
        writeFileSync(bare, Safetensors.encode(tensors(String(backbone.weights))))
        const tuned = yield* found("finetune", "--from", bare, "--tests", "val,test", ...common, "--out", at("tuned"))
        assert.deepStrictEqual(tuned.accuracy, classifier.accuracy)

        const probed = yield* found("probe", `${run}/pretrain`, "--tests", "test", ...common)
        assert.hasAllKeys(probed.accuracy, ["test"])
        assert.match(String(probed.chosenOn), /^a held-out part of train \(6 of 24 images\)$/)
        const chosen = yield* found("probe", `${run}/pretrain`, "--tests", "test", "--validation", "val", ...common)
        assert.strictEqual(chosen.chosenOn, "val")
        const both = yield* found("probe", `${run}/pretrain`, "--tests", "val", "--validation", "val", ...common)
        assert.deepStrictEqual([both.chosenOn, both.tried], [probed.chosenOn, probed.tried])
        const regressed = yield* found(
          "probe",
          `${run}/pretrain`,
          "--tests",
          "test",
          "--method",
          "logreg",
          "--set",
          "probe.logreg.c=[0.1, 1]",
          "--out",
          at("logreg"),
          ...common
        )
        assert.deepInclude(regressed, { method: "logreg", chosenOn: "a held-out part of train (3 of 24 images)" })
        assert.deepStrictEqual((regressed.tried as ReadonlyArray<{ c: number }>).map(({ c }) => c), [0.1, 1])
        const wrong = yield* refused(
          "probe",
          `${run}/pretrain`,
          "--method",
          "logreg",
          "--set",
          "probe.l2=[1]",
          ...common
        )
        assert.match(String(wrong), /--set: probe\.l2: expected a value that --method logreg reads/)
        const near = yield* found("knn", `${run}/tokenizer`, "--tests", "val,test", ...common)
        const many = ["--set", "knn.neighbours=99", "--out", at("many")]
        const all = yield* found("knn", `${run}/tokenizer`, ...common, ...many)
        assert.strictEqual(all.neighbours, 24)
        assert.match(String(all.fewer), /^99 neighbours are asked for, and train has 24 images/)
        const several = ["--set", "knn.neighbours=[3,5]", "--set", "knn.fewShot.perClass=[2]", "--out", at("several")]
        const compared = yield* found("knn", `${run}/tokenizer`, ...common, ...several)
        assert.deepStrictEqual(
          compared.accuracy,
          yield* Effect.map(
            found("knn", `${run}/tokenizer`, ...common, "--set", "knn.neighbours=3", "--out", at("several")),
            ({ accuracy }) => accuracy
          )
        )
        const variants = compared.variants as ReadonlyArray<Readonly<Record<string, unknown>>>
        assert.deepStrictEqual(
          variants.map(({ neighbours, perClass, tries }) => [neighbours, perClass, tries]),
          [[3, undefined, undefined], [5, undefined, undefined], [2, 2, 5]]
        )
        assert.hasAllKeys(variants[2]!.deviations, ["val"])
        assert.lengthOf(compared.results as ReadonlyArray<string>, 3)
        assert.match(
          yield* said("knn", `${run}/tokenizer`, ...common, ...several),
          /\nsplit  k  per class  ± of tries  images .*\nval +3 +all +12 .*\nval +5 +all +12 .*\nval +2 +2 +[\d.]+ +12 .*$/
        )
        const [whole] = all.results as ReadonlyArray<string>
        assert.include(readFileSync(whole!, "utf8"), "\"neighbours\": 24")
        assert.deepStrictEqual((near.figures as ReadonlyArray<{ split: string }>).map(({ split }) => split), [
          "val",
          "test"
        ])
        const nearer = yield* found("knn", `${run}/tokenizer`, ...common, "--set", "knn.neighbours=1")
        yield* found("knn", `${run}/tokenizer`, ...common, "--set", "knn.neighbours=1")
        const kept = readdirSync(join(run, "results")).filter((name) => name.endsWith(".json"))
        assert.deepStrictEqual(kept.map((name) => name.slice(0, name.lastIndexOf("-"))), [
          "finetune-test",
          "finetune-val",
          "knn-test",
          "knn-val",
          "knn-val",
          "probe-test",
          "probe-test",
          "probe-val"
        ])
        const [file] = nearer.results as ReadonlyArray<string>
        const result = JSON.parse(readFileSync(file!, "utf8"))
        const [figure] = nearer.figures as ReadonlyArray<object>
        assert.deepInclude(result, { verb: "knn", network: "tokenizer", ...figure, images: 12, classes: 3 })
        assert.strictEqual(result.settings.config.neighbours, 1)
        const measured = yield* found("inspect", String(tokenizer.weights))
        assert.strictEqual(measured.weightsDigest, result.digests.weights)
        const away = yield* found("knn", String(tokenizer.weights), ...common, "--out", at("away"))
        assert.deepStrictEqual(
          readdirSync(at("away", "results")).length,
          (away.results as ReadonlyArray<string>).length
        )
        writeFileSync(at("lone.safetensors"), readFileSync(String(tokenizer.weights)))
        assert.match(
          yield* said("knn", at("lone.safetensors"), ...common),
          /results +not kept.*--out\n\nsplit +images +classes +top-1, %.*\nval +12 +3 +\d/
        )

        const lines = (yield* said("encode", run, "--split", "val", ...plainly)).split("\n").map((line) =>
          JSON.parse(line)
        )
        assert.strictEqual(lines.length, 12)
        assert.deepInclude(lines[0], { image: "disc/0.png", label: 0, class: "disc" })
        assert.strictEqual(lines[0].codes.length, 16)
        const encoded = yield* found("encode", run, "--split", "val", ...plainly, "--out", at("codes.safetensors"))
        assert.strictEqual(encoded.rows, at("codes.csv"))
        assert.deepStrictEqual(readFileSync(at("codes.csv"), "utf8").trim().split("\n"), [
          "row,image,label,class",
          ...lines.map((line, row) => `${row},${line.image},${line.label},${line.class}`)
        ])
        const { codes, labels } = tensors(at("codes.safetensors"))
        assert.deepStrictEqual(codes!.shape, [12, 16])
        assert.deepStrictEqual(Array.from(codes!.data.subarray(0, 16)), lines[0].codes)
        assert.deepStrictEqual(Array.from(labels!.data), lines.map(({ label }) => label))

        yield* found("features", `${run}/pretrain`, "--split", "test", ...plainly, "--out", at("features.safetensors"))
        const vector = tensors(at("features.safetensors")).features!
        assert.deepStrictEqual(vector.shape, [12, 16])
        const vectored = (yield* said("features", `${run}/pretrain`, "--split", "test", ...plainly)).split("\n").map((
          line
        ) => JSON.parse(line))
        assert.deepStrictEqual(Float32Array.from(vectored.flatMap(({ features }) => features)), vector.data)
        assert.deepStrictEqual(
          readFileSync(at("features.csv"), "utf8").trim().split("\n").slice(1),
          vectored.map((line, row) => `${row},${line.image},${line.label},${line.class}`)
        )
        const { metadata } = Result.getOrThrow(Safetensors.decode(readFileSync(at("features.safetensors"))))
        assert.deepStrictEqual(JSON.parse(metadata.classes!), classes.toSorted())

        for (
          const [stage, what] of [["tokenizer", "codes"], ["pretrain", "patches"], ["finetune", "logits"]] as const
        ) {
          const file = at(`${what}.onnx`)
          const written = yield* found("export", `${run}/${stage}`, "--what", what, "--out", file)
          assert.strictEqual(written.images, "any number")
          assert.isTrue(existsSync(file))
        }
        const seen = yield* found("inspect", `${run}/stages/pretrain.safetensors`)
        assert.deepInclude(seen, { kind: "Weights", tensors: Number(seen.tensors) })
        assert.include(JSON.stringify(seen.provenance), "\"Backbone\"")
        assert.include(String(seen.looksLike), "BEiT")
        const model = yield* found("inspect", at("codes.onnx"))
        assert.deepStrictEqual(model.inputs, [{ name: "images", shape: ["batch", 3, 32, 32] }])
        assert.deepStrictEqual(model.outputs, [{ name: "codes", shape: ["batch", 16] }, {
          name: "patches",
          shape: ["batch", 16, 16]
        }])
        assert.deepStrictEqual(model.uses, [`teacher of a tokenizer (--teacher onnx:${at("codes.onnx")}#patches)`])
        const told = yield* said("inspect", run)
        assert.match(told, /tokenizer[^]*pretrain[^]*finetune[^]*is +classifier[^]*\nevaluation +network +split/)
        assert.match(told, /^knn +tokenizer +val +12 +[\d.]+ % +[\d.]+ % to [\d.]+ % +33\.3 % +neighbours 3$/m)
        assert.match(told, /^last batch +loss .*accuracy/m)
        assert.notMatch(told, /_tag|looksLike|[dD]igest|[0-9a-f]{16}/)
        assert.match(yield* said("inspect", `${run}/stages/pretrain.safetensors`), /^network +ViT of 32 px, patch 8/m)
        assert.isTrue((yield* said("inspect", at("codes.onnx"))).split("\n").every((line) => line.length < 120))
        assert.match(yield* said("inspect", at("codes.safetensors")), /^images +12, of 16 codes each\nclasses +3: /m)
        assert.match(yield* said("inspect", at("features.safetensors")), /^images +12, of 16 numbers each$/m)
        assert.match(yield* said("inspect", config), /^is +a configuration of tokenizer/)
        const inspected = yield* found("inspect", run)
        assert.deepInclude(inspected.results, result)
        assert.match(told, /^computed on +onnx cpu [\d.]+, \d+ threads?, fp32$/m)
        assert.match(told, /^computed on +onnx cpu [\d.]+, \d+ threads?, fp32 from step 1$/m)
        assert.lengthOf(inspected.computedOn as ReadonlyArray<unknown>, 1)

        assert.match(told, /^evaluation .* with$/m)
        assert.match(told, /^knn +tokenizer +val .* neighbours 3$/m)
        assert.match(told, /^knn +tokenizer +val .* neighbours 1$/m)
        assert.match(told, /^probe +pretrain +val .* %$/m)
        assert.notInclude(JSON.stringify(inspected), "_tag")
        for (
          const [place, expected] of [
            [String(file), /^is +the figures of knn on val$[^]*^neighbours +1$[^]*^knn +tokenizer +val/m],
            [join(run, "log.jsonl"), /^is +a log of a run$[^]*^tokenizer\nrows +2\nlast step +2\nits values +loss /m],
            [join(run, "timings.jsonl"), /^is +a log of a run$/m],
            [join(run, "environment.json"), /^is +the machine and the engines of a run$[^]*^node +v22/m],
            [join(run, "stages", "pretrain.json"), /^is +the digests of a finished stage$/m],
            [join(run, "config.json"), /^is +a configuration of tokenizer, pretrain/m]
          ] as const
        ) assert.match(yield* said("inspect", place), expected)
        for (const verb of [["inspect"], ["knn"], ["finetune", "--out", at("other"), "--from"]]) {
          const error = yield* refused(...verb, join(run, "nosuch"))
          assert.match(String(error), /the run has no stage "nosuch" \(it holds finetune, pretrain, tokenizer\)/)
          assert.match(String(error), /choose finetune, pretrain or tokenizer$/)
        }
        assert.isTrue(yield* Effect.isFailure(said("inspect", join(run, "checkpoints"))))
        for (const [verb, key] of [["knn", "probe.l2"], ["probe", "knn.neighbours"]] as const) {
          const error = yield* refused(verb, `${run}/pretrain`, ...plainly, "--set", `${key}=1`)
          assert.include(String(error), `--set: ${key}: expected a value of ${verb}, for this command reads no other`)
        }

        const vectors = (name: string, ...flags: ReadonlyArray<string>) =>
          Effect.map(
            found("features", `${run}/tokenizer`, "--split", "test", ...plainly, ...flags, "--out", at(name)),
            () => tensors(at(name)).features!.data
          )
        const usual = yield* vectors("usual.safetensors")
        assert.deepStrictEqual(yield* vectors("mean.safetensors", "--pooling", "mean", "--final-norm"), usual)
        const others = [
          yield* vectors("cls.safetensors", "--pooling", "cls"),
          yield* vectors("raw.safetensors", "--no-final-norm"),
          yield* vectors("rawcls.safetensors", "--pooling", "cls", "--no-final-norm")
        ]
        assert.strictEqual(new Set([usual, ...others].map((data) => data.join())).size, 4)

        const planned = yield* found("plan", ...common, "--teacher-width", "8")
        const [first, second, third] = planned.stages as ReadonlyArray<Readonly<Record<string, number>>>
        assert.deepStrictEqual([first!.batchSize, first!.stepsPerEpoch, first!.steps], [8, 3, 2])
        assert.isAbove(second!.imagesPerSecond!, 0)
        assert.isAbove(third!.disk!, 4 * third!.parameters!)
        assert.deepStrictEqual(planned.problems, [])
        const large = ["plan", ...common, "--set", "pretrain.optimizer.batchSize=25", "--stages"]
        const nothing = yield* refused(...large, "pretrain")
        assert.match(
          String(nothing),
          /pretrain: train has 24 images, but one update takes 25; add 1 image or more, or lower .*batchSize to 24 or less$/
        )
        const tight = yield* found(...large, "pretrain,finetune")
        assert.match(
          String(tight.problems),
          /pretrain: too few images: one update takes 25, and there are 24\. Nothing would be trained; add images, or lower pretrain\.opt/
        )
        const shown = yield* said("plan", ...common, "--stages", "finetune,finetune")
        assert.match(
          shown,
          /^onnx.*, \d+ cores, [\d.e+]+ GiB\n +finetune\n[^]*images per second +\d[^]*memory, about +[\d.]+ [KMG]iB/
        )
        const table = shown.split("\n")
        const rows = table.slice(1, table.findIndex((line) => line.startsWith("A teacher's")))
        assert.deepStrictEqual([...new Set(rows.map(({ length }) => length))], [rows[0]!.length])

        const again = yield* found(
          "tokenizer",
          "train",
          ...common,
          "--teacher",
          `onnx:${at("patches.onnx")}`,
          "--out",
          at("second")
        )
        assert.strictEqual(again.step, 2)
        const cached = yield* found("tokenizer", "cache", at("cache"), ...common, "--teacher", `run:${run}/pretrain`)
        assert.strictEqual(cached.teacher, "backbone")
        yield* found("tokenizer", "train", ...common, "--teacher", `cache:${at("cache")}`, "--out", at("third"))
      }).pipe(Effect.provide(NodeServices.layer)),
    180_000
  )

  it.live(
    "say which files are left out and which images are broken",
    () =>
      Effect.gen(function*() {
        const dirty = at("images", "train", classes[0]!)
        writeFileSync(join(dirty, "notes.txt"), "x")
        writeFileSync(join(dirty, "scan.bmp"), "x")
        writeFileSync(join(dirty, "none.png"), "x")
        const skipping = [...common, "--broken", "skip"]
        const images = ["--images", at("images"), "--threads", "1", "--broken", "skip"]
        const verbs = [
          ["tokenizer", "train", ...skipping, "--out", run],
          ["tokenizer", "cache", at("dirty"), ...skipping],
          ["pretrain", "--tokenizer", run, ...skipping, "--out", run],
          ["finetune", "--from", run, "--tests", "val", ...skipping, "--out", run],
          ["probe", `${run}/pretrain`, "--tests", "test", ...skipping],
          ["knn", `${run}/pretrain`, "--tests", "test", ...skipping],
          ["encode", run, ...images, "--out", at("dirty.safetensors")],
          ["features", `${run}/pretrain`, ...images, "--out", at("dirty.safetensors"), "--replace"],
          ["plan", ...skipping, "--stages", "finetune"]
        ]
        for (const verb of verbs) {
          const told: Array<string> = []
          const { broken, leftOut } = (yield* found(...verb).pipe(hearing(told))) as Record<string, BySplit>
          assert.deepEqual<object>(leftOut!.train!, {
            count: 2,
            kinds: [{ kind: "txt", count: 1 }, { kind: "bmp", count: 1 }]
          }, verb[0])
          assert.strictEqual(broken!.train!.count, 1)
          assert.match(broken!.train!.first[0]!, /none\.png: the image cannot be decoded/)
          assert.include(told.join("\n"), "train: left out: 2 (1 txt, 1 bmp)\ntrain: broken: 1\n  ")
        }
        const stopped = yield* refused("plan", ...common)
        assert.match(String(stopped), /none\.png: .* \(--check contents --broken skip\)/)
        yield* refused("plan", ...skipping, "--check", "names")
        const large = yield* refused("plan", ...common, "--pixel-limit", "9")
        assert.match(String(large), /25 of 25 images cannot be used\n.*pixels, but at most 9 are decoded/)
      }).pipe(Effect.provide(NodeServices.layer)),
    180_000
  )

  it.live(
    "read colours as a network's configuration says, or as they are told",
    () =>
      Effect.gen(function*() {
        const clear = { width: 40, height: 40, channels: 4, background: { r: 200, g: 100, b: 40, alpha: 0.2 } } as const
        for (let i = 0; i < 8; i++) {
          mkdirSync(at("clear", "train", "any"), { recursive: true })
          yield* Effect.promise(() => sharp({ create: clear }).png().toFile(at("clear", "train", "any", `${i}.png`)))
        }
        const plainly = ["--images", at("clear"), "--threads", "1"]
        const configured = ["--config", config, ...plainly]
        yield* found("tokenizer", "train", ...configured, "--colour", "official", "--out", at("official"))
        const kept = JSON.parse(readFileSync(at("official", "config.json"), "utf8"))
        for (const stage of ["tokenizer", "pretrain", "finetune"]) {
          assert.strictEqual(kept[stage].augment.colour, "official")
        }
        yield* found(
          "pretrain",
          "--tokenizer",
          at("official"),
          ...configured,
          "--colour",
          "official",
          "--out",
          at("net")
        )
        const other = yield* refused(
          "pretrain",
          "--tokenizer",
          run,
          ...configured,
          "--colour",
          "official",
          "--out",
          at("other")
        )
        assert.include(
          String(other),
          "are read in official colours, but augment.colour of the tokenizer is managed; give the images"
        )
        const digest = Effect.fnUntraced(function*(verb: string, network: string, ...more: ReadonlyArray<string>) {
          yield* found(verb, network, ...plainly, ...more, "--out", at("colours.safetensors"), "--replace")
          return Result.getOrThrow(Safetensors.decode(readFileSync(at("colours.safetensors")))).metadata.images
        })
        const official = yield* digest("encode", at("official"))
        const managed = yield* digest("encode", run)
        assert.notStrictEqual(managed, official)
        assert.strictEqual(yield* digest("encode", run, "--colour", "official"), official)
        assert.strictEqual(yield* digest("encode", at("official"), "--colour", "managed"), managed)
        assert.strictEqual(yield* digest("features", at("net", "pretrain")), official)
      }).pipe(Effect.provide(NodeServices.layer)),
    180_000
  )

  it.effect("help with a working example for every verb", () =>
    Effect.gen(function*() {
      const listed = (text: string) => Array.from(text.matchAll(/^ {2}(\w+) {2,}\w/gm), ([, verb]) => verb!)
      const groups = ["tokenizer", "decoder", "runs", "jobs"]
      const verbs = listed(yield* said("help")).filter((verb) => !groups.includes(verb))
      for (const group of groups) {
        const text = yield* said("help", group)
        verbs.push(...listed(text.slice(text.indexOf("COMMANDS\n"))).map((verb) => `${group} ${verb}`))
      }
      assert.includeMembers(verbs, [
        "demo",
        "pretrain",
        "plan",
        "help",
        "tokenizer cache",
        "decoder train",
        "runs note"
      ])
      for (const verb of verbs) {
        const text = yield* said("help", ...verb.split(" "))
        const [, ...examples] = text.slice(text.indexOf("EXAMPLES")).split("\n").map((line) => line.trim())
        assert.isAbove(examples.length, 0, verb)
        for (const example of examples) {
          assert.isTrue(example.startsWith(`patchword ${verb}`), example)
          for (const [flag] of example.matchAll(/--[\w-]+/g)) assert.include(text, `\n  ${flag} `, example)
        }
      }
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("list what computes here", () =>
    Effect.gen(function*() {
      const quickly = ["engines", "onnx-cpu", "onnx-coreml", "--seconds", "0.01"]
      const { engines, fastest, why } = yield* found(...quickly)
      assert.strictEqual(fastest, "onnx-cpu")
      assert.match(String(why), /^onnx-cpu is the fastest engine/)
      assert.containsSubset(engines, [{ kind: "Available", name: "onnx-cpu", precisions: ["fp32"] }, {
        name: "onnx-coreml"
      }])
      const text = yield* said(...quickly)
      assert.match(text, /^engine +version +threads +precisions +Gflop\/s +deviation\nonnx-cpu +\d/)
      assert.match(text, /fastest that is exact enough: onnx-cpu$/)
      assert.isTrue(text.split("\n").every((line) => line.length <= 100))
      assert.match(yield* said(...quickly, "--verbose"), /^onnx-coreml: the provider "coreml" cannot be used/m)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("say what cannot be, with a code of its kind", () =>
    Effect.gen(function*() {
      const code = (error: unknown) => (error as { readonly [Runtime.errorExitCode]: number })[Runtime.errorExitCode]
      const cases = [
        [64, ["tokenizer", "train", "--teacher", "clap:x", "--out", at("x")], /--teacher.*expected hog, clip:FILE/],
        [
          66,
          ["tokenizer", "train", "--teacher", `clip:${at("none.safetensors")}`, "--out", at("x"), ...plainly],
          /none\.safetensors/
        ],
        [64, ["probe", at("run/pretrain"), "--engine", "onnx", "--precision", "bf16"], /expected --precision fp32/],
        [
          64,
          ["probe", at("run/pretrain"), "--xla"],
          /--engine onnx.*expected no --xla, which is for --engine tensorflow/
        ],
        [
          64,
          ["probe", at("run/pretrain"), "--devices", "4"],
          /--engine onnx.*expected no --devices 4, which is for --engine xla; leave out --devices 4, or write --engine xla/
        ],
        [64, ["probe", at("run/pretrain"), "--engine", "xla", "--devices", "0"], /a whole number from 1 to 64/],
        [
          64,
          ["probe", at("run/pretrain"), "--collectives", "inside"],
          /--engine onnx.*expected no --collectives inside, which is for --engine xla; leave out --collectives inside, or write/
        ],
        [
          64,
          ["probe", at("run/pretrain"), "--engine", "xla", "--platform", "cuda", "--collectives", "inside"],
          /--engine xla.*expected no --collectives inside, which is for several ranks with NVIDIA's GPUs; leave out --collectives, or start several ranks with --platform cuda/
        ],
        [
          64,
          ["probe", at("run/pretrain"), "--precision", "tf32"],
          /expected --precision fp32; leave out --precision, or take tensorflow or xla for tf32/
        ],
        [
          64,
          ["probe", at("run/pretrain"), "--engine", "openvino", "--precision", "tf32"],
          /expected --precision fp32 or bf16; leave out --precision tf32, or write --engine tensorflow/
        ],
        [
          64,
          ["probe", at("run/pretrain"), "--engine", "auto", "--threads", "2"],
          /--engine auto.*measured as they come/
        ],
        [
          64,
          ["pretrain", "--tokenizer", run, "--out", at("x"), "--set", "pretrain.optimizer.lrr=1"],
          /lrr: unknown key; did you mean lr\?/
        ],
        [66, ["encode", at("nothing")], /nothing/],
        [
          64,
          ["encode", run, "--out", at("x.npz")],
          /^--out: expected a name that ends in \.safetensors, .*x\.npz; write --out \S+\/x\.safetensors$/
        ],
        [64, ["features", run, "--out", at("x")], /write --out \S+\/x\.safetensors$/],
        [64, ["predict", run, "--out", at("x.json")], /write --out \S+\/x\.csv$/],
        [64, ["export", run, "--what", "codes", "--out", at(".pt")], /write --out \S+\/\.pt\.onnx$/],
        [64, ["plan", "--stages", "tokeniser", ...plainly], /--stages.*tokenizer/],
        [66, ["inspect", at("nothing")], /nothing: there is no such file/],
        [65, ["inspect", images], /this folder is no run; give safetensors/],
        [66, ["encode", run, "--images", at("no-images")], /no-images: there is no such folder/],
        [
          64,
          ["export", at("run/pretrain"), "--what", "codes", "--out", at("x.onnx")],
          /has no output codes; choose features/
        ]
      ] as const
      for (const [expected, args, text] of cases) {
        const error = yield* refused(...args)
        assert.match((error as { readonly message: string }).message, text)
        assert.strictEqual(code(error), expected, args.join(" "))
      }
      writeFileSync(at("bad.yaml"), "pretrain:\n  optimizer: {lr: fast}\n")
      const wrong = yield* refused("pretrain", "--tokenizer", run, "--config", at("bad.yaml"), "--out", at("x"))
      assert.match((wrong as Error).message, /bad\.yaml.*pretrain\.optimizer\.lr: expected a number, got "fast"/)
      writeFileSync(at("broken.yaml"), "pretrain: {")
      const broken = yield* refused("pretrain", "--tokenizer", run, "--config", at("broken.yaml"), "--out", at("x"))
      assert.match((broken as Error).message, /broken\.yaml: /)
      assert.isFalse(existsSync(at("x")))
    }).pipe(Effect.provide(NodeServices.layer)), 60_000)
})
