import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Backbone from "../../src/pipelines/trained/Backbone.ts"
import { micro } from "../pipelines/kit.ts"
import { draw, found, said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-look-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
const { pretrain } = micro()
const common = [at("run", "pretrain"), "--images", at("images"), "--threads", "1"]

const written = Effect.suspend(() => {
  const { codes, config, tensors } = Backbone.untrained(pretrain, 16)
  return Weights.write(
    at("run", "stages", "pretrain.safetensors"),
    Weights.make(
      tensors,
      new Weights.Provenance({
        stage: "pretrain",
        configDigest: "c",
        dataDigest: "d",
        step: 1,
        seed: 0,
        model: { _tag: "Backbone", config, codes }
      })
    )
  )
})

interface Line {
  readonly image: string
  readonly mean: { readonly self: number; readonly patches: ReadonlyArray<number> }
  readonly heads: ReadonlyArray<object>
}

describe("attention and pca", () => {
  beforeAll(async () => {
    await draw(at("images"))
    mkdirSync(at("run", "stages"), { recursive: true })
    writeFileSync(at("run", "config.json"), "{}")
    await Effect.runPromise(Effect.provide(written, NodeServices.layer))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.live("print the numbers of each image, and write nothing into the run", () =>
    Effect.gen(function*() {
      const lines = (yield* said("attention", ...common, "--first", "3")).split("\n").map((line) =>
        JSON.parse(line) as Line
      )
      assert.deepStrictEqual(lines.map(({ image }) => image), ["disc/0.png", "disc/12.png", "disc/15.png"])
      for (const { heads, mean } of lines) {
        assert.lengthOf(heads, 2)
        assert.approximately(mean.patches.reduce((sum, weight) => sum + weight, mean.self), 1, 1e-5)
      }
      const [line] = (yield* said("pca", ...common, "--first", "2")).split("\n").map((text) =>
        JSON.parse(text) as object
      )
      assert.hasAllKeys(line, ["image", "label", "class", "colours", "foreground"])
      assert.isFalse(existsSync(at("run", "look")))
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("write pictures into a new folder, and replace nothing unless asked", () =>
    Effect.gen(function*() {
      const out = at("seen")
      const first = yield* found("attention", ...common, "--first", "2", "--block", "0", "--keep", "0.6", "--out", out)
      assert.deepInclude(first, { folder: out, images: 2, of: 24, kind: "attention", block: 0, keep: 0.6 })
      assert.lengthOf(readdirSync(out), 2 * 7 + 1)
      const sample = at("run", "look", "attention-pretrain")
      assert.strictEqual(first["sample"], sample)
      const pictures = readdirSync(sample).toSorted()
      assert.deepStrictEqual(pictures, readdirSync(out).toSorted())
      yield* said("attention", ...common, "--first", "1")
      assert.deepStrictEqual(readdirSync(sample).toSorted(), pictures)
      const kept = readFileSync(join(out, "look.json"), "utf8")
      const again = yield* Effect.flip(said("pca", ...common, "--out", out))
      assert.include(again.message, "expected a new folder, got one with pictures")
      assert.strictEqual(readFileSync(join(out, "look.json"), "utf8"), kept)

      const colours = yield* found(
        "pca",
        ...common,
        "--first",
        "2",
        "--foreground",
        "inner",
        "--fit-on",
        "1",
        "--out",
        out,
        "--replace"
      )
      assert.strictEqual(colours["fitted"], 1)
      assert.include(readFileSync(join(out, "look.json"), "utf8"), "\"fitted\": 1")
      assert.lengthOf(colours["explained"] as ReadonlyArray<number>, 3)
      assert.deepStrictEqual(readdirSync(out).toSorted(), [
        "0000-0-components.png",
        "0000-0-image.png",
        "0001-12-components.png",
        "0001-12-image.png",
        "look.json"
      ])
      assert.isTrue(existsSync(at("run", "look", "pca-pretrain", "look.json")))

      const other = yield* Effect.flip(said("pca", ...common, "--out", at("images"), "--replace"))
      assert.include(other.message, "got a folder with other files")
      const none = yield* Effect.flip(said("attention", ...common, "--block", "2", "--out", at("none")))
      assert.include(none.message, "expected a block of the network, 0 to 1, got 2")
      assert.isFalse(existsSync(at("none")))
    }).pipe(Effect.provide(NodeServices.layer)))
})
