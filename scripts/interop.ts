/**
 * `npm run interop`: writes weights under the names of the official code, of timm and of Hugging Face, has timm and
 * transformers compute with them, compares that with what we compute, and reads back what they save. So too with whole folders
 * in the layout of the Hub, from pictures of any shape on: ours by transformers' processor and network, theirs by us.
 *
 * PyTorch, timm and transformers are installed from PyPI into a virtual environment in the temporary folder of the system,
 * which is kept for the next time. `npm run interop -- --python FILE` uses an interpreter that has them.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect, Result } from "effect"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { AugmentConfig } from "../src/domain/config/AugmentConfig.ts"
import { FinetuneConfig } from "../src/domain/config/FinetuneConfig.ts"
import * as Presets from "../src/domain/config/presets/Presets.ts"
import { VitConfig } from "../src/domain/config/VitConfig.ts"
import type { Picture } from "../src/domain/pixels/Picture.ts"
import * as Grid from "../src/domain/values/Grid.ts"
import * as KeyedRandom from "../src/domain/values/KeyedRandom.ts"
import type { Naming, Network } from "../src/domain/weights/Naming.ts"
import * as Safetensors from "../src/domain/weights/Safetensors.ts"
import * as Engine from "../src/layers/engine/Engine.ts"
import * as ImageSet from "../src/layers/images/reading/ImageSet.ts"
import * as Weights from "../src/layers/weights/Weights.ts"
import * as Parameter from "../src/nn/blocks/Parameter.ts"
import * as Vit from "../src/nn/blocks/Vit.ts"
import * as FinetuneStep from "../src/nn/finetune/FinetuneStep.ts"
import * as Mim from "../src/nn/pretrain/Mim.ts"
import * as PretrainStep from "../src/nn/pretrain/PretrainStep.ts"
import * as Clip from "../src/nn/teachers/Clip.ts"
import * as Dino from "../src/nn/teachers/Dino.ts"
import * as ModelFolder from "../src/pipelines/artifacts/ModelFolder.ts"
import { classify } from "../src/pipelines/evaluate/Classify.ts"
import * as Classifier from "../src/pipelines/trained/Classifier.ts"
import * as HostTensor from "../src/shapes/HostTensor.ts"
import type { HostOf, Inference } from "../src/shapes/Step.ts"
import * as Tree from "../src/shapes/Tree.ts"
import * as Python from "./python.ts"

const TOLERANCE = 1e-5

const vit = Vit.dims({ image: 32, patch: 8, width: 32, heads: 2 })
const batch = { size: 2, height: 32, width: 32 } as const
const common = {
  ...vit,
  hidden: 128,
  relativeRows: 52,
  depth: 3,
  absolutePositions: false,
  qkvBias: true,
  layerScale: 0.1
} as const
const tower = { patch: 8, width: 32, hidden: 128, heads: 2, depth: 3, grid: Grid.square(4), tokens: 17 } as const

const noise = (purpose: string, length: number): Float32Array => {
  const { normal } = KeyedRandom.generator({ seed: 0, purpose, epoch: 0, index: 0 })
  return Float32Array.from({ length }, normal)
}

const images = HostTensor.make([2, 3, 32, 32], "float32", noise("images", 2 * 3 * 32 * 32))
const mask = HostTensor.make([2, 16], "bool", Uint8Array.from(noise("mask", 32), (x) => (x > 0.3 ? 1 : 0)))
const rows = HostTensor.make([32], "int32", Int32Array.from({ length: 32 }, (_, i) => i))

/** What an inference gives with random weights, every one of which counts. */
const computed = Effect.fnUntraced(
  function*<W, B, O>(
    network: Network,
    namings: ReadonlyArray<Naming>,
    inference: Inference<W, B, O>,
    batch: HostOf<B>,
    output: (outputs: HostOf<O>) => HostTensor.Any
  ) {
    const weights = Tree.map<HostOf<W>>(inference.weights as object, ({ shape }, name) => {
      const about = /norm|ln_.*weight$/.test(name) ? 1 : 0
      return HostTensor.make(shape, "float32", noise(name, HostTensor.size(shape)).map((x) => about + 0.15 * x))
    })
    const handle = yield* (yield* Engine.Engine).infer(inference, weights)
    const { data } = output(yield* handle.run(batch))
    const tensors = Weights.flatten(weights as object)
    const official = Weights.rename(Weights.make(tensors), (name) => name.replace(/^parameters\./, "")).tensors
    return { network, namings, tensors: official, data }
  },
  Effect.scoped
)

/** An inference on the same weights and batches that gives something else. */
const looking = <W, B, O, P>(inference: Inference<W, B, O>, run: (weights: W, batch: B) => P): Inference<W, B, P> => ({
  ...inference,
  run
})

const predicting = PretrainStep.predict(
  { ...common, relativePositions: "shared", initStd: 0.02, codes: 24, aggregation: null },
  { size: 2, masked: 32 }
)

const networks = Effect.all([
  computed(
    "classifier",
    ["official", "timm", "huggingface"],
    FinetuneStep.logits({ ...common, relativePositions: "perBlock", pooling: "mean", headScale: 1, classes: 24 }, 2),
    { images },
    ({ logits }) => logits
  ),
  computed(
    "pretrained",
    ["huggingface"],
    looking(predicting, ({ parameters }, { images, mask, rows }) => {
      const index = Vit.relativeIndex(vit)
      const tokens = Mim.hidden(parameters, images, mask, rows, { heads: 2, index, earlyLayer: common.depth })
      return { logits: Mim.logits(parameters, tokens).last }
    }),
    { images, mask, rows, labels: HostTensor.zeros([32], "int32") },
    ({ logits }) => logits
  ),
  computed(
    "clip",
    ["official", "timm", "huggingface"],
    Clip.features({ ...tower, out: 24 }, batch),
    { images },
    ({ target }) => target
  ),
  computed("dino", ["official", "timm", "huggingface"], Dino.features(tower, batch), { images }, ({ target }) => target)
])

const draw = (width: number, height: number): Picture => {
  const { integer } = KeyedRandom.generator({ seed: 0, purpose: `picture ${width} ${height}`, epoch: 0, index: 0 })
  return { width, height, data: Uint8Array.from({ length: 3 * width * height }, () => integer(0, 255)) }
}

/** Wide, high, square, smaller than what is seen of them. */
const pictures = [draw(96, 61), draw(50, 77), draw(40, 40), draw(23, 30)]

const shown = ImageSet.memory("pictures", ["a", "b"], pictures, pictures.map((_, index) => index % 2))

const { finetune } = Presets.tiny

/** How folders of ours say that pictures are seen. */
const views = {
  central: { evaluationCrop: 0.8, interpolation: "bicubic" },
  whole: { evaluationCrop: 1, interpolation: "lanczos" },
  squeezed: { evaluationCrop: 0.8, interpolation: "bilinear", evaluationSides: "both" }
} as const

/** A classifier of ours that sees pictures so; its half pixels are rounded as transformers does it. */
const ours = (name: keyof typeof views) => {
  const augment = new AugmentConfig({ ...finetune.augment, ...views[name], evaluationOffset: "down" })
  const vit = new VitConfig({ ...finetune.vit, imageSize: 32, width: 32, heads: 2, depth: 3, normEpsilon: 1e-3 })
  const config = new FinetuneConfig({ ...finetune, vit, augment, headScale: 40 })
  const parameters = Parameter.initialise(Classifier.spec(config, 24), 0)
  const classes = Array.from({ length: 24 }, (_, i) => `class ${i}`)
  return { _tag: "Classifier", config, classes, tensors: Weights.flatten(parameters) } as const
}

const logitsOf = Effect.fnUntraced(function*(classifier: Classifier.Classifier) {
  return (yield* classify(classifier, [shown]))[0]!
})

const program = Effect.gen(function*() {
  const { values } = parseArgs({ options: { python: { type: "string" } } })
  const python = values.python ?? Python.environment()
  const folder = mkdtempSync(join(tmpdir(), "patchword-interop-run-"))
  const known = yield* networks
  const cases = known.flatMap(({ namings, ...network }) => namings.map((naming) => ({ ...network, naming })))
  const at = (network: Network, naming: Naming) => join(folder, `${network}-${naming}`)

  for (const { naming, network, tensors } of cases) {
    mkdirSync(at(network, naming))
    const file = join(at(network, naming), "model.safetensors")
    yield* Weights.write(file, Weights.make(tensors), { naming, network })
  }
  const folders = Object.keys(views) as ReadonlyArray<keyof typeof views>
  for (const name of folders) yield* ModelFolder.write(join(folder, name), ours(name), { name })
  const drawn = Object.fromEntries(pictures.map(({ data, height, width }, i) => [
    `picture_${i}`,
    HostTensor.make([height, width, 3], "int32", Int32Array.from(data))
  ]))
  writeFileSync(join(folder, "input.safetensors"), Safetensors.encode({ images, mask, ...drawn }))
  const sizes = { image: 32, patch: 8, width: 32, depth: common.depth, heads: 2, out: 24 }
  const plan = { ...sizes, folders, cases: cases.map(({ naming, network }) => [network, naming]) }
  writeFileSync(join(folder, "plan.json"), JSON.stringify(plan))
  Python.succeed(python, fileURLToPath(new URL("interop.py", import.meta.url)), folder)

  const outputs = Result.getOrThrow(Safetensors.decode(readFileSync(join(folder, "output.safetensors")))).tensors
  let failed = 0
  process.stdout.write(`${["network", "naming", "tensors", "difference", "read back", ""].map(pad).join("")}\n`)
  for (const { data, naming, network, tensors } of cases) {
    const theirs = outputs[`${network}-${naming}`]!.data
    const difference = theirs.length === data.length
      ? Math.max(...Array.from(data, (x, i) => Math.abs(x - theirs[i]!)))
      : Infinity
    const again = naming === "huggingface" ? "again/model.safetensors" : "again/model.pth"
    const read = yield* Weights.read(join(at(network, naming), again), { network })
    const same = Result.isSuccess(Weights.conform(tensors, read)) &&
      Object.entries(tensors).every(([name, { data }]) => Buffer.from(data.buffer).equals(bytes(read.tensors[name]!)))
    const ok = difference <= TOLERANCE && same
    if (!ok) failed++
    const count = `${Object.keys(tensors).length}`
    const columns = [
      network,
      naming,
      count,
      difference.toExponential(1),
      same ? "equal" : "different",
      ok ? "ok" : "OFF"
    ]
    process.stdout.write(`${columns.map(pad).join("").trimEnd()}\n`)
  }
  for (const name of [...folders, "theirs"] as const) {
    const network = name === "theirs" ? yield* ModelFolder.read(join(folder, name)) : ours(name)
    if (network._tag !== "Classifier") return yield* Effect.die(`${name} is a ${network._tag}`)
    const mine = yield* logitsOf(network)
    const theirs = outputs[`folder-${name}`]!.data
    const difference = mine.length === theirs.length
      ? Math.max(...Array.from(mine, (x, i) => Math.abs(x - theirs[i]!)))
      : Infinity
    const ok = difference <= TOLERANCE
    if (!ok) failed++
    const columns = [
      "folder",
      name,
      `${Object.keys(network.tensors).length}`,
      difference.toExponential(1),
      "",
      ok ? "ok" : "OFF"
    ]
    process.stdout.write(`${columns.map(pad).join("").trimEnd()}\n`)
  }
  rmSync(folder, { recursive: true })
  const count = cases.length + folders.length + 1
  process.stdout.write(`${count - failed} passed, ${failed} failed\n`)
  return failed
})

const pad = (text: string): string => text.padEnd(13)

const bytes = ({ data }: HostTensor.Any): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength)

const failed = await Effect.runPromise(Effect.provide(program, [NodeServices.layer, Engine.layerOnnx()]))
process.exit(failed === 0 ? 0 : 1)
