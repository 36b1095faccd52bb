import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Runtime, Schema } from "effect"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Readable } from "node:stream"
import { buffer } from "node:stream/consumers"
import sharp from "sharp"
import * as Tar from "tar-stream"
import { afterAll, beforeAll } from "vitest"
import { stringify } from "yaml"
import { Preset } from "../../src/domain/config/Preset.ts"
import { micro, set } from "../pipelines/kit.ts"
import { said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-figures-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
const run = at("run")
const common = ["--config", at("micro.yaml"), "--threads", "1"]

/** Pictures in a tar, each with the name of its class, if any, beside it. */
const shard = async (name: string, labels: ReadonlyArray<string | undefined>) => {
  const pack = Tar.pack()
  const all = set(name, labels.length)
  for (const [index, label] of labels.entries()) {
    const { data, height, width } = await Effect.runPromise(all.image(index))
    const image = await sharp(data, { raw: { width, height, channels: 3 } }).png().toBuffer()
    pack.entry({ name: `${index}.png` }, image)
    if (label !== undefined) pack.entry({ name: `${index}.cls` }, label)
  }
  pack.finalize()
  writeFileSync(at(`${name}.tar`), await buffer(Readable.from(pack)))
}

const over = (length: number, ...names: ReadonlyArray<string>) =>
  Array.from({ length }, (_, index) => names[index % names.length]!)

const verbs = {
  knn: ["knn", `${run}/tokenizer`],
  probe: ["probe", `${run}/tokenizer`],
  finetune: ["finetune", "--out", at("tuned")]
}

const evaluate = (verb: keyof typeof verbs, train: string, val: string, ...more: ReadonlyArray<string>) =>
  said(...verbs[verb], ...common, "--images", `train=${at(train)}.tar,val=${at(val)}.tar`, ...more)

describe("figures", () => {
  beforeAll(async () => {
    const preset = Schema.encodeSync(Schema.toCodecJson(Preset))(micro({ duration: 2, warmup: 1 }))
    writeFileSync(at("micro.yaml"), stringify(preset))
    await shard("train", over(12, "cat", "dog", "eel"))
    await shard("fewer", over(6, "dog", "eel"))
    await shard("other", over(6, "cat", "dog", "fox"))
    await shard("one", over(6, "dog"))
    await shard("bare", Array.from({ length: 12 }, () => undefined))
    await Effect.runPromise(
      said("tokenizer", "train", ...common, "--images", `train=${at("train")}.tar`, "--out", run).pipe(
        Effect.provide(NodeServices.layer)
      )
    )
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.live.each(["knn", "probe", "finetune"] as const)(
    "of %s are refused where classes do not meet",
    (verb) =>
      Effect.gen(function*() {
        const refused = Effect.fnUntraced(function*(train: string, val: string, rule?: string) {
          const error = yield* Effect.flip(
            evaluate(verb, train, val, ...(rule === undefined ? [] : ["--classes", rule]))
          )
          assert.strictEqual((error as { readonly [Runtime.errorExitCode]?: number })[Runtime.errorExitCode], 65)
          return (error as Error).message
        })
        for (const rule of [undefined, "subset"]) {
          assert.match(yield* refused("train", "other", rule), /split val: .*without any image in train: 1 \("fox"\)/)
          assert.match(yield* refused("bare", "bare", rule), /split train: its 12 images are all of one class, "\."/)
        }
        assert.match(yield* refused("train", "one", "subset"), /split val: its 6 images are all of one class, "dog"/)
        assert.isFalse(existsSync(at("tuned", "stages", "finetune.safetensors")))
        assert.isFalse(existsSync(join(run, "results")))
      }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live.each(["knn", "probe", "finetune"] as const)(
    "of %s stand beside those of random weights where that is asked for",
    (verb) =>
      Effect.gen(function*() {
        const images = `train=${at("train")}.tar,val=${at("train")}.tar`
        const out = (name: string) => ["--images", images, "--out", at("random", name)]
        if (verb === "finetune") yield* said("finetune", ...common, ...out("first"))
        const network = verb === "finetune" ? ["--from", at("random", "first")] : [`${run}/tokenizer`]
        const asked = [verb, ...network, ...common, ...out(verb), "--random-baseline"]
        const found = JSON.parse(yield* said(...asked, "--json"))
        assert.lengthOf(found.random, 1)
        assert.deepStrictEqual(Object.keys(found.random[0]), Object.keys(found.figures[0]))
        const networks = found.results.map((file: string) => JSON.parse(readFileSync(file, "utf8")).network)
        assert.deepStrictEqual(
          networks,
          verb === "finetune" ? ["finetune", "finetune-random"] : ["tokenizer", "random"]
        )
        const shown = yield* said(...asked)
        assert.match(shown, /largest class, % +random weights, %\nval .* 12 .* [\d.]+ +[\d.]+$/)
        assert.match(shown, new RegExp(` ${(100 * found.random[0].top1).toFixed(1)}$`))
      }).pipe(Effect.provide(NodeServices.layer)),
    60_000
  )

  it.live("of all methods stand beside what each was chosen on, and an edge", () =>
    Effect.gen(function*() {
      const images = `train=${at("train")}.tar,val=${at("train")}.tar`
      const small = ["probe.l2=[1]", "probe.sweep.steps=2", "probe.sweep.blocks=[1]", "probe.sweep.augment=null"]
      const sets = [...small, "probe.logreg.c=[0.1, 1]"].flatMap((set) => ["--set", set])
      const asked = ["probe", `${run}/tokenizer`, ...common, "--images", images, "--out", at("methods"), ...sets]
      const { variants } = JSON.parse(yield* said(...asked, "--method", "all", "--json"))
      const [lbfgs, logreg, sweep] = variants
      assert.deepStrictEqual([lbfgs.chosenOn, logreg.fittedOn], [undefined, "train"])
      const shown = (yield* said(...asked, "--method", "all")).split("\n")
      assert.include(shown, `logreg, chosenOn  ${logreg.chosenOn}`)
      assert.include(shown, "logreg, fittedOn  train")
      assert.include(shown, `sweep, chosenOn   ${sweep.chosenOn}`)
      for (const [name, { edge }] of Object.entries({ logreg, sweep })) {
        assert.strictEqual(shown.some((line) => line.startsWith(`${name}, edge `)), edge !== undefined, name)
      }
      assert.isDefined(logreg.edge)
      assert.isFalse(shown.some((line) => /^(lbfgs|k-NN), /.test(line)))
    }).pipe(Effect.provide(NodeServices.layer)), 60_000)

  it.live("of a probe that did not converge say so, and how to allow more iterations", () =>
    Effect.gen(function*() {
      const images = `train=${at("train")}.tar,val=${at("train")}.tar`
      const asked = ["probe", `${run}/tokenizer`, ...common, "--images", images]
      const told = (key: string, value: number, count: string) =>
        Effect.gen(function*() {
          const out = ["--set", `probe.${key}=${value}`, "--out", at(`${key}-${value}`)]
          const method = key === "iterations"
            ? ["--set", "probe.l2=[1]"]
            : ["--method", "logreg", "--set", "probe.logreg.c=[1]"]
          const shown = yield* said(...asked, ...method, ...out)
          const { results, unconverged } = JSON.parse(yield* said(...asked, ...method, ...out, "--json"))
          const line = `the probe stopped after ${count}, before it had converged; allow more by --set probe.${key}`
          const isShort = value < 10
          assert.strictEqual(unconverged, isShort ? line : undefined)
          assert.strictEqual(shown.includes(line), isShort)
          const { settings } = JSON.parse(readFileSync(results[0], "utf8"))
          assert.strictEqual(Object.hasOwn(settings, "unconverged"), isShort)
        })
      yield* told("iterations", 1, "1 iteration")
      yield* told("iterations", 300, "")
      yield* told("logreg.iterations", 2, "2 iterations")
      yield* told("logreg.iterations", 1000, "")
    }).pipe(Effect.provide(NodeServices.layer)), 60_000)

  it.live("are measured among fewer classes where that is asked for, and kept with it", () =>
    Effect.gen(function*() {
      const figure = Effect.fnUntraced(function*(...flags: ReadonlyArray<string>) {
        const found = JSON.parse(yield* evaluate("knn", "train", "fewer", ...flags, "--json"))
        return found.figures[0] as { readonly top1: number; readonly classes: number }
      })
      const [fewer, subset] = [yield* figure("--classes", "fewer"), yield* figure("--classes", "subset")]
      assert.deepStrictEqual([fewer.classes, subset.classes], [3, 2])
      assert.isAtLeast(subset.top1, fewer.top1)
      assert.strictEqual(readdirSync(join(run, "results")).length, 2)
      assert.match(
        yield* evaluate("finetune", "train", "fewer", "--classes", "subset"),
        /\nsplit +loss +images +classes +top-1, % +95 % interval +largest class, %\nval +[\d.]+ +6 +2 +[\d.]+ +[\d.]+ to [\d.]+ +50\.0$/
      )
    }).pipe(Effect.provide(NodeServices.layer)))
})
