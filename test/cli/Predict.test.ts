import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { afterAll, beforeAll } from "vitest"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as ModelFolder from "../../src/pipelines/artifacts/ModelFolder.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import * as Classifier from "../../src/pipelines/trained/Classifier.ts"
import { micro } from "../pipelines/kit.ts"
import { draw, found, hearing, said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-predict-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
const { finetune, pretrain } = micro()
const classes = ["disc", "a \"frame\", thick", "stripes"]
const common = [at("classifier"), "--images", at("photos"), "--threads", "1"]

const written = Effect.gen(function*() {
  const tensors = Weights.flatten(Parameter.initialise(Classifier.spec(finetune, 3), 1))
  yield* ModelFolder.write(at("classifier"), { _tag: "Classifier", config: finetune, classes, tensors }, {
    name: "any"
  })
  const backbone = { _tag: "Backbone", ...Backbone.untrained(pretrain, 16) } as const
  yield* ModelFolder.write(at("backbone"), backbone, { name: "any" })
})

interface Line {
  readonly image: string
  readonly predictions: ReadonlyArray<{ readonly class: string; readonly probability: number }>
}

describe("predict", () => {
  beforeAll(async () => {
    await draw(at("images"))
    mkdirSync(at("photos"))
    for (const index of [0, 3, 6]) {
      renameSync(at("images", "train", "disc", `${index}.png`), at("photos", `disc, ${index}.png`))
    }
    writeFileSync(at("photos", "cut.png"), "x")
    await Effect.runPromise(Effect.provide(written, NodeServices.layer))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.live("names the classes of each picture for people, for machines and for spreadsheets", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const lines = (yield* said("predict", ...common, "--json").pipe(hearing(told)))
        .split("\n").map((line) => JSON.parse(line) as Line)
      assert.match(told.join("\n"), /train: broken: 1\n.*cut\.png: the image cannot be decoded/)
      assert.deepStrictEqual(lines.map(({ image }) => image), ["disc, 0.png", "disc, 3.png", "disc, 6.png"])
      for (const { predictions } of lines) {
        assert.sameMembers(predictions.map((one) => one.class), classes)
        assert.approximately(predictions.reduce((sum, { probability }) => sum + probability, 0), 1, 1e-9)
      }

      const table = (yield* said("predict", ...common, "--top", "1")).split("\n")
      const [best] = lines[0]!.predictions
      assert.strictEqual(table[0], `disc, 0.png  ${best!.class.padEnd(16)}  ${(100 * best!.probability).toFixed(1)} %`)
      assert.lengthOf(table, 3)

      const csv = yield* found("predict", ...common, "--top", "2", "--out", relative("", at("out", "classes.csv")))
      assert.deepInclude(csv, { file: at("out", "classes.csv"), images: 3, top: 2 })
      assert.deepNestedInclude(csv, { "broken.train.count": 1 })
      const [header, ...rows] = readFileSync(at("out", "classes.csv"), "utf8").trim().split("\n")
      assert.strictEqual(header, "image,class_1,probability_1,class_2,probability_2")
      const quoted = (text: string) => text.includes("\"") ? `"${text.replaceAll("\"", "\"\"")}"` : text
      assert.deepStrictEqual(
        rows,
        lines.map(({ image, predictions }) =>
          [
            `"${image}"`,
            ...predictions.slice(0, 2).flatMap((one) => [quoted(one.class), one.probability])
          ].join(",")
        )
      )
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("escapes what could change a terminal, for people alone", () =>
    Effect.gen(function*() {
      const name = "a\u001b[31m\t\nb.png"
      mkdirSync(at("odd"))
      copyFileSync(at("photos", "disc, 0.png"), at("odd", name))
      const given = [at("classifier"), "--images", at("odd"), "--threads", "1"]
      const table = yield* said("predict", ...given, "--top", "1")
      assert.isTrue(table.startsWith(String.raw`a\u001b[31m\t\nb.png  `) && !table.includes("\n"))
      const line = JSON.parse(yield* said("predict", ...given, "--json")) as Line
      assert.strictEqual(line.image, name)
      yield* found("predict", ...given, "--out", at("odd.csv"))
      assert.include(readFileSync(at("odd.csv"), "utf8"), name)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("writes over no file unless it is told to", () =>
    Effect.gen(function*() {
      const picture = at("photos", "disc, 0.png")
      const before = readFileSync(picture)
      const input = yield* Effect.flip(said("predict", at("classifier"), "--images", picture, "--out", picture))
      assert.match(
        String(input),
        /expected a name that ends in \.csv, the kind of file that is written, got .*disc, 0\.png/
      )
      assert.deepStrictEqual(readFileSync(picture), before)
      const out = at("out", "again.csv")
      yield* found("predict", ...common, "--out", out)
      const again = yield* Effect.flip(said("predict", ...common, "--out", out))
      assert.match(String(again), /again\.csv: there is a file already/)
      yield* found("predict", ...common, "--out", out, "--replace")
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("refuses what is no classifier, and broken pictures where it is told to", () =>
    Effect.gen(function*() {
      const other = yield* Effect.flip(said("predict", at("backbone"), "--images", at("photos")))
      assert.match(String(other), /these are the weights of a backbone, not of a classifier/)
      const broken = yield* Effect.flip(said("predict", ...common, "--broken", "fail"))
      assert.match(String(broken), /cut\.png: the image cannot be decoded/)
    }).pipe(Effect.provide(NodeServices.layer)))
})
