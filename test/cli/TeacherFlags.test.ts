import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Runtime, Schema } from "effect"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import sharp from "sharp"
import { afterAll, beforeAll } from "vitest"
import * as OnnxProgram from "../../src/compiler/programs/OnnxProgram.ts"
import { Preset } from "../../src/domain/config/Preset.ts"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import type { Inference } from "../../src/shapes/Step.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import * as Tokens from "../../src/shapes/Tokens.ts"
import * as Eager from "../parity/eager.ts"
import { micro, sets } from "../pipelines/kit.ts"
import { said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-teaching-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)

const classed: Inference<
  Readonly<Record<never, never>>,
  { readonly images: Tensor<[8, 3, 32, 32]> },
  { readonly tokens: Tensor<[8, 17, 192]> }
> = {
  name: "classed",
  weights: {},
  batch: { images: { shape: [8, 3, 32, 32], dtype: "float32" } },
  run: (_, { images }) => {
    const patches = Tokens.patchify(images, 8)
    return { tokens: Tokens.prepend(Tokens.classToken(patches), patches) }
  }
}

const cached = Effect.fnUntraced(function*(name: string, ...args: ReadonlyArray<string>) {
  const common = ["--config", at("micro.json"), "--images", at("images"), "--threads", "1", "--json"]
  const text = yield* said("tokenizer", "cache", at(name), ...common, ...args)
  return JSON.parse(text) as Readonly<Record<string, unknown>>
})

const refused = (...args: ReadonlyArray<string>) => Effect.flip(cached("refused", ...args))

const onnx = `onnx:${at("classed.onnx")}#output.tokens`

describe("the flags of a teacher", () => {
  beforeAll(async () => {
    const preset = Schema.encodeSync(Schema.toCodecJson(Preset))(micro({ duration: 2, warmup: 1 }))
    writeFileSync(at("micro.json"), JSON.stringify(preset))
    writeFileSync(at("classed.onnx"), OnnxProgram.inference(classed).bytes)
    const fixture = Eager.fixture("teacher_clip")
    const tower = fixture.keys("state").map((key) => [key, fixture.tensor(`state/${key}`)] as const)
    writeFileSync(at("clip.safetensors"), Safetensors.encode(Object.fromEntries(tower)))
    const [train] = sets
    for (let index = 0; index < train!.length; index++) {
      const { data, height, width } = await Effect.runPromise(train!.image(index))
      const place = at("images", "train", String(train!.labels[index]))
      mkdirSync(place, { recursive: true })
      await sharp(data, { raw: { width, height, channels: 3 } }).png().toFile(join(place, `${index}.png`))
    }
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.live("leave a class token out, and standardise pixels", () =>
    Effect.gen(function*() {
      const whole = yield* refused("--teacher", onnx)
      assert.strictEqual(whole[Runtime.errorExitCode], 64)
      assert.include(whole.message, "if its first token is a class token, skip 1 more")
      assert.include(whole.message, "--teacher-skip")
      const plain = yield* cached("plain", "--teacher", onnx, "--teacher-skip", "1")
      assert.deepStrictEqual([plain.tokens, plain.width], [16, 192])
      const named = yield* cached("named", "--teacher", onnx, "--teacher-skip", "1", "--teacher-channels", "half")
      const numbers = ["--teacher-channels", "0.5,0.5,0.5,0.5,0.5,0.5"]
      const given = yield* cached("given", "--teacher", onnx, "--teacher-skip", "1", ...numbers)
      assert.strictEqual(given.digest, named.digest)
      assert.notStrictEqual(plain.digest, named.digest)
      const shard = (name: string) => readFileSync(at(name, "shard-00000.bin"))
      assert.deepStrictEqual(shard("given"), shard("named"))
      assert.notDeepEqual(shard("plain"), shard("named"))
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("say the heads and the activation of a tower", () =>
    Effect.gen(function*() {
      const clip = ["--teacher", `clip:${at("clip.safetensors")}`]
      assert.include((yield* refused(...clip)).message, "--teacher-heads")
      const quick = yield* cached("quick", ...clip, "--teacher-heads", "2", "--teacher-activation", "quick_gelu")
      const exact = yield* cached("exact", ...clip, "--teacher-heads", "2", "--teacher-activation", "gelu")
      assert.notStrictEqual(quick.digest, exact.digest)
      assert.notDeepEqual(readFileSync(at("quick", "shard-00000.bin")), readFileSync(at("exact", "shard-00000.bin")))
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("are refused where they say nothing", () =>
    Effect.gen(function*() {
      for (
        const [args, message] of [
          [
            ["--teacher-skip", "1"],
            "--teacher-skip: expected --teacher onnx:FILE, got hog"
          ],
          [["--teacher-heads", "2", "--teacher", onnx], "expected --teacher clip:FILE or dino:FILE, got onnx:"],
          [["--teacher-activation", "gelu", "--teacher", "dino:x"], "expected --teacher clip:FILE, got dino:x"],
          [["--teacher-channels", "1,2", "--teacher", onnx], "expected plain, half, imagenet, clip, or three means"],
          [["--teacher-channels", "0,0,0,1,1,0", "--teacher", onnx], "deviations greater than 0"],
          [["--teacher-channels", "constructor", "--teacher", onnx], "got constructor"]
        ] as const
      ) {
        const error = yield* refused(...args)
        assert.strictEqual(error[Runtime.errorExitCode], 64)
        assert.include(error.message, message)
      }
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("compute a damaged shard anew", () =>
    Effect.gen(function*() {
      const skip = ["--teacher", onnx, "--teacher-skip", "1"]
      yield* cached("damaged", ...skip)
      const shard = readFileSync(at("damaged", "shard-00000.bin"))
      writeFileSync(at("damaged", "shard-00000.bin"), shard.subarray(1))
      const error = yield* Effect.flip(cached("damaged", ...skip))
      assert.strictEqual(error[Runtime.errorExitCode], 65)
      assert.include(error.message, "--damaged recompute")
      yield* cached("damaged", ...skip, "--damaged", "recompute")
      assert.deepStrictEqual(readFileSync(at("damaged", "shard-00000.bin")), shard)
      const again = yield* cached("damaged", ...skip, "--again")
      assert.strictEqual(again.images, 16)
    }).pipe(Effect.provide(NodeServices.layer)))
})
