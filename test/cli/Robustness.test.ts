import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Runtime } from "effect"
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import sharp from "sharp"
import { afterAll, beforeAll } from "vitest"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Parameter from "../../src/nn/blocks/Parameter.ts"
import * as Vqkd from "../../src/nn/tokenizer/Vqkd.ts"
import * as Classifier from "../../src/pipelines/trained/Classifier.ts"
import type * as Network from "../../src/pipelines/trained/Network.ts"
import * as Tokenizer from "../../src/pipelines/trained/Tokenizer.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Tree from "../../src/shapes/Tree.ts"
import { classes, micro } from "../pipelines/kit.ts"
import { draw, found, hearing, said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-robustness-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
const images = ["--images", at("images"), "--threads", "1"]
const few = ["--corruptions", "contrast,jpeg_compression", "--severities", "1,5"]

const { finetune, tokenizer } = micro()

const varied = (spec: object) =>
  Object.fromEntries(
    Object.entries(Weights.flatten(Parameter.initialise(spec, 0))).map(([name, { data, shape }]) => [
      name,
      HostTensor.make(shape, "float32", Float32Array.from(data, (value, i) => 5 * Number(value) + Math.sin(i) / 20))
    ])
  )

const quantizer = Result.getOrThrow(Tokenizer.quantizer({ config: tokenizer }))

const sizes = Tokenizer.sizes(tokenizer, 8)
const { quantize } = Tokenizer.spec(sizes, quantizer) as { readonly quantize: object }
const codebook = Object.fromEntries(
  Tree.leaves<HostTensor.Any>({ quantize }).map(([name, { shape }]) => [
    name,
    HostTensor.make(
      shape,
      "float32",
      Float32Array.from({ length: HostTensor.size(shape) }, (_, i) => Math.sin(1 + 3 * i))
    )
  ])
)

const networks: ReadonlyArray<Network.Network> = [
  { _tag: "Classifier", config: finetune, classes, tensors: varied(Classifier.spec(finetune, classes.length)) },
  {
    _tag: "Tokenizer",
    config: tokenizer,
    teacherWidth: 8,
    tensors: { ...varied(Vqkd.spec(sizes)), ...codebook }
  }
]

const kept = ({ tensors, ...model }: Network.Network) => {
  const stage = model._tag === "Classifier" ? "finetune" : "tokenizer"
  const made = { stage, configDigest: "", dataDigest: "", step: 1, seed: 0, model }
  return Weights.write(at("run", "stages", `${stage}.safetensors`), Weights.make(tensors, new Weights.Provenance(made)))
}

interface Report {
  readonly sets: ReadonlyArray<{ readonly name: string; readonly images: number; readonly share: number }>
  readonly corruptions: ReadonlyArray<{ readonly kind: string; readonly severity: number; readonly share: number }>
  readonly kinds: ReadonlyArray<{ readonly kind: string; readonly error: number; readonly ce?: number }>
  readonly mce?: number
  readonly page?: string
}

const measured = (...args: ReadonlyArray<string>) =>
  Effect.map(found("robustness", ...args), (report) => report as unknown as Report)

const refused = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  const error = yield* Effect.flip(said("robustness", ...args))
  const code = (error as { readonly [Runtime.errorExitCode]?: number })[Runtime.errorExitCode]
  return [code, (error as Error).message] as const
})

describe("robustness", () => {
  beforeAll(async () => {
    await draw(at("images"))
    mkdirSync(at("run", "stages"), { recursive: true })
    writeFileSync(at("run", "config.json"), "{}")
    await Effect.runPromise(Effect.provide(Effect.forEach(networks, kept), NodeServices.layer))
    for (const severity of [1, 2]) cpSync(at("images", "test"), at("c", "fog", String(severity)), { recursive: true })
    for (const name of ["disc", "frame"]) cpSync(at("images", "val", name), at("a", name), { recursive: true })
    cpSync(at("a"), at("b"), { recursive: true })
    cpSync(at("a", "disc"), at("b", "ring"), { recursive: true })
    mkdirSync(at("frost"))
    const noise = { create: { width: 40, height: 50, channels: 3, background: "#cde" } } as const
    await sharp(noise).png().toFile(at("frost", "ice.png"))
    await sharp({ create: { ...noise.create, height: 32 } }).png().toFile(at("small.png"))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.live(
    "of a classifier is measured on clean and corrupted images, kept, and taken up again",
    () =>
      Effect.gen(function*() {
        const network = at("run", "finetune")
        const report = yield* measured(network, ...images, ...few)
        assert.deepStrictEqual(report.sets.map(({ images, name }) => [name, images]), [["val", 12]])
        assert.deepStrictEqual(
          report.corruptions.map(({ kind, severity }) => [kind, severity]),
          ["contrast", "jpeg_compression"].flatMap((kind) => [[kind, 1], [kind, 5]])
        )
        for (const { ce, error, kind } of report.kinds) {
          const own = report.corruptions.filter((one) => one.kind === kind)
          assert.closeTo(error, own.reduce((sum, { share }) => sum + 1 - share, 0) / own.length, 1e-12)
          assert.isUndefined(ce)
        }
        assert.isUndefined(report.mce)
        const kept = () => readdirSync(at("run", "results")).filter((name) => name.startsWith("robustness-")).toSorted()
        assert.lengthOf(kept(), 5)
        const page = readFileSync(report.page!, "utf8")
        assert.match(page, /<svg class="dots"[\s\S]*<title>contrast, severity 5: /)
        assert.notInclude(page, "<script")

        const file = at("run", "results", kept().find((name) => name.includes("contrast%2F5"))!)
        writeFileSync(file, readFileSync(file, "utf8").replace(/"top1": [\d.]+/, "\"top1\": 0.125"))
        const again = yield* measured(network, ...images, ...few)
        assert.strictEqual(again.corruptions[1]!.share, 0.125)
        assert.deepStrictEqual([again.corruptions[0], again.corruptions[2]], [
          report.corruptions[0],
          report.corruptions[2]
        ])
      }).pipe(Effect.provide(NodeServices.layer)),
    60_000
  )

  it.live("is measured on the layouts of test sets, among their own classes", () =>
    Effect.gen(function*() {
      const network = at("run", "finetune")
      const flags = ["--imagenet-a", at("a"), "--imagenet-c", at("c"), "--severities", "1,2", "--corruptions", "fog"]
      const report = yield* measured(network, ...flags, "--threads", "1", "--out", at("layouts"))
      assert.deepStrictEqual(report.sets.map(({ images, name }) => [name, images]), [["imagenet-a", 8]])
      assert.deepStrictEqual(report.corruptions.map(({ kind, severity }) => [kind, severity]), [["fog", 1], ["fog", 2]])
      assert.strictEqual(report.corruptions[0]!.share, report.corruptions[1]!.share)
      const text = yield* said("robustness", network, ...flags, "--threads", "1", "--out", at("layouts"))
      assert.match(text, /^set +images +top-1, % +95 % interval\nimagenet-a +8 /m)
      assert.match(text, /^top-1, %, by severity +1 +2 +error +CE +relative CE\nfog /m)

      const missing = yield* refused(network, "--imagenet-c", at("c"), "--corruptions", "fog,snow")
      assert.strictEqual(missing[0], 66)
      assert.match(
        missing[1],
        /^imagenet-c: there is no folder .*fog.3, and 7 more are missing\. The layout is FOLDER\/COR/
      )
      assert.strictEqual((yield* refused(network, "--sketch", at("none")))[0], 66)
      const strange = yield* refused(network, "--imagenet-r", at("b"), "--threads", "1", "--out", at("layouts"))
      assert.strictEqual(strange[0], 65)
      assert.match(strange[1], /Not in the classifier: 1 \("ring"\)/)
    }).pipe(Effect.provide(NodeServices.layer)), 60_000)

  it.live("of a tokenizer is the share of its codes that change", () =>
    Effect.gen(function*() {
      const network = at("run", "tokenizer")
      const told: Array<string> = []
      const report = yield* measured(network, ...images, ...few).pipe(hearing(told))
      const share = (kind: string, severity: number) =>
        report.corruptions.find((one) => one.kind === kind && one.severity === severity)!.share
      assert.deepStrictEqual(report.sets, [])
      assert.isAbove(share("contrast", 5), share("contrast", 1))
      for (const { share } of report.corruptions) assert.isTrue(share > 0 && share <= 1)
      assert.match(readFileSync(report.page!, "utf8"), /Share of the codes that change/)
      const frosted = yield* measured(
        network,
        ...images,
        "--corruptions",
        "frost",
        "--severities",
        "3",
        "--frost",
        at("frost")
      )
      assert.isAbove(frosted.corruptions[0]!.share, 0)
      assert.match((yield* refused(network, "--sketch", at("a")))[1], /--sketch: expected a classifier/)
    }).pipe(Effect.provide(NodeServices.layer)), 60_000)

  it.live("names what it cannot corrupt, and what it leaves out", () =>
    Effect.gen(function*() {
      const network = at("run", "tokenizer")
      for (
        const [flags, problem] of [
          [["--corruptions", "rain"], /expected all, none, or of gaussian_noise.*got "rain"/],
          [["--severities", "6"], /expected numbers from 1 to 5/],
          [["--corruptions", "frost"], /expected --frost FOLDER beside it/]
        ] as const
      ) {
        const [code, message] = yield* refused(network, ...images, ...flags)
        assert.strictEqual(code, 64)
        assert.match(message, problem)
      }
      mkdirSync(at("flat"))
      cpSync(at("small.png"), at("flat", "small.png"))
      const [code, message] = yield* refused(network, ...images, "--corruptions", "frost", "--frost", at("flat"))
      assert.strictEqual(code, 65)
      assert.match(message, /the picture small\.png is not larger than a view, which has 32 × 32 pixels/)
    }).pipe(Effect.provide(NodeServices.layer)))
})
