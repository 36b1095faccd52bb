import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Runtime } from "effect"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Network from "../../src/pipelines/trained/Network.ts"
import { micro } from "../pipelines/kit.ts"
import { draw, found, said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-atlas-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
const common = ["atlas", at("tokenizer.safetensors"), "--images", at("photos"), "--split", "val", "--threads", "1"]

describe("patchword atlas", () => {
  beforeAll(async () => {
    await draw(at("photos"))
    const { tokenizer: config } = micro()
    const { dim, size } = config.codebook
    const network = Network.untrained({ _tag: "Tokenizer", config, teacherWidth: 8, tensors: {} })
    const tensors = {
      ...network.tensors,
      "quantize.embedding.weight": {
        dtype: "float32" as const,
        shape: [size, dim],
        data: Float32Array.from({ length: size * dim }, (_, i) => i % (dim + 1) === 0 ? 1 : 0)
      }
    }
    const model = { _tag: "Tokenizer", config, teacherWidth: 8 } as const
    const made = { stage: "tokenizer", configDigest: "", dataDigest: "", step: 1, seed: 0, model }
    const weights = Weights.make(tensors, new Weights.Provenance(made))
    await Effect.runPromise(
      Weights.write(at("tokenizer.safetensors"), weights).pipe(Effect.provide(NodeServices.layer))
    )
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it.live("makes an atlas and prints its figures", () =>
    Effect.gen(function*() {
      const made = yield* found(...common, "--out", at("out"))
      assert.deepInclude(made, {
        atlas: at("out", "atlas"),
        images: 12,
        codes: 16,
        patches: 12 * 16,
        imageBytes: 12 * 16 * 2
      })
      assert.isTrue(existsSync(at("out", "atlas", "index.json")))
      assert.match(yield* said(...common, "--out", at("out")), /used codes +\d+ of 16\n/)
      const other = yield* Effect.flip(said(...common, "--out", at("out"), "--nearest", "3"))
      assert.strictEqual(other[Runtime.errorExitCode], 73)
      assert.match(
        String(other),
        /holds another atlas \(nearest patches, --nearest: the atlas has 12, this command would make 3\); give the settings of the atlas \(--nearest 12\), replace it by --replace/
      )
      const bare = yield* found(...common, "--out", at("out"), "--nearest", "3", "--no-image-codes", "--replace")
      assert.strictEqual(bare.imageBytes, 0)
      assert.match(yield* said("inspect", at("out", "atlas")), /an atlas of codes/)
      rmSync(at("out", "atlas", "nearest"), { recursive: true })
      for (
        const command of [["inspect", at("out", "atlas")], [
          ...common,
          "--out",
          at("out"),
          "--nearest",
          "3",
          "--no-image-codes"
        ]]
      ) {
        const damaged = yield* Effect.flip(said(...command))
        assert.strictEqual(damaged[Runtime.errorExitCode], 65)
        assert.match(
          String(damaged),
          /nearest\/\d+\.webp is damaged \(it is missing; it is the first of \d+ such files\); .*--replace/
        )
      }
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("asks for a folder where the tokenizer is in no run", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(said(...common))
      assert.strictEqual(error[Runtime.errorExitCode], 64)
      assert.match(String(error), /--out: expected a folder for the atlas/)
    }).pipe(Effect.provide(NodeServices.layer)))
})
