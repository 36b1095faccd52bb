import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { spawnSync } from "node:child_process"
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import { Engine } from "../../src/layers/engine/Engine.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { type Candidate, onnx, openvino, present, reference, tensorflow, xla } from "../layers/engine/engines.ts"
import * as Runner from "./runner.ts"

const golden = fileURLToPath(new URL("../golden", import.meta.url))
const withoutEngine = [
  "corruptions",
  "image_ops",
  "logreg",
  "masks",
  "miou",
  "misc",
  "robustness",
  "seg_augment",
  "seg_schedule",
  "timm_clip_names",
  "timm_relpos_resize"
]

/** Fixtures that take the reference seconds. It takes their smaller likes, and the other engines take these. */
const large = new Set(["finetune_meanpool", "mim_cls_shared", "upernet_fcn", "vqkd_dino_dec3"])

const names = Runner.names(golden).filter((name) => !withoutEngine.includes(name))

const namesOf = (engine: Candidate): ReadonlyArray<string> =>
  engine === openvino || engine === xla
    ? ["quantizer"]
    : engine === reference
    ? names.filter((name) => !large.has(name))
    : names

const holds = Effect.fnUntraced(function*(name: string) {
  const outcome = yield* Runner.run(golden, name)
  assert.deepStrictEqual(Runner.problems(outcome), [])
  assert.isAbove(outcome.checks.length, 0)
})

const noEngine = Layer.sync(Engine, () =>
  new Proxy({} as Engine["Service"], {
    get: (_, member) => assert.fail(`the engine is asked for ${String(member)}`)
  }))

describe("official fixtures, without an engine", () => {
  layer(noEngine)((it) => {
    it.effect.each(withoutEngine)("%s", holds)
  })
})

describe.each(present([onnx, reference, tensorflow, openvino, xla]))("official fixtures, $name", (engine) => {
  layer(engine.layer)((it) => {
    it.effect.each(namesOf(engine))("%s", holds)
  })
})

type Tensors = Readonly<Record<string, Safetensors.Tensor>>

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "patchword-parity-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

const put = (folder: string, name: string, { as = name, change = (tensors) => tensors }: {
  readonly as?: string
  readonly change?: (tensors: Tensors) => Tensors
} = {}) => {
  copyFileSync(join(golden, `${name}.json`), join(folder, `${as}.json`))
  const { tensors } = Result.getOrThrow(Safetensors.decode(readFileSync(join(golden, `${name}.safetensors`))))
  writeFileSync(join(folder, `${as}.safetensors`), Safetensors.encode(change(tensors)))
}

const off = (name: string, by: number) => (tensors: Tensors): Tensors => {
  const { shape } = tensors[name]!
  const data = Float32Array.from(tensors[name]!.data)
  data[data.length - 1]! += by
  return { ...tensors, [name]: HostTensor.make(shape, "float32", data) }
}

const found = (name: string, options: Parameters<typeof put>[2]) =>
  Effect.gen(function*() {
    const folder = yield* temporary
    put(folder, name, options)
    const outcome = yield* Runner.run(folder, options?.as ?? name)
    return { problems: Runner.problems(outcome), holds: Runner.verdict([outcome], []).holds }
  })

describe("the runner", () => {
  layer(reference.layer)((it) => {
    it.effect("finds one element that is out, in results and in states", () =>
      Effect.gen(function*() {
        const result = yield* found("timm_relpos_resize", { change: off("table_6x6_timm_default", 1e-4) })
        assert.isFalse(result.holds)
        assert.strictEqual(result.problems.length, 1)
        assert.match(result.problems[0]!, /^table_6x6_timm_default: .* rms of .*$/)
        const gradient = yield* found("mim_plain_abs", { change: off("grad/norm.weight", 1e-3) })
        assert.match(gradient.problems.join(), /^grad\/norm\.weight: [^,]*$/)
        const weight = yield* found("mim_plain_abs", { change: off("state/norm.weight", 0.1) })
        assert.include(weight.problems.join(), "out/logits_1: ")
      }))

    it.effect("finds a result that is no number, and one of another length", () =>
      Effect.gen(function*() {
        const nan = yield* found("timm_relpos_resize", { change: off("table_6x6_timm_default", Number.NaN) })
        assert.isFalse(nan.holds)
        const short = yield* found("timm_relpos_resize", {
          change: (tensors) => ({ ...tensors, table_6x6_timm_default: HostTensor.zeros([3, 2], "float32") })
        })
        assert.isFalse(short.holds)
      }))

    it.effect("names what nothing read", () =>
      Effect.gen(function*() {
        const { holds, problems } = yield* found("mim_plain_abs", {
          change: (tensors) => ({ ...tensors, "out/novel": HostTensor.zeros([1], "float32") })
        })
        assert.isFalse(holds)
        assert.deepStrictEqual(problems, ["out/novel: unread"])
      }))

    it.effect("fails for fixtures of unknown kind, without their inputs, and with nothing to compare", () =>
      Effect.gen(function*() {
        const unknown = yield* found("mim_plain_abs", { as: "novel" })
        assert.isFalse(unknown.holds)
        assert.include(unknown.problems, "novel: there is no check for it")
        const poor = yield* found("mim_plain_abs", {
          change: (tensors) =>
            Object.fromEntries(Object.entries(tensors).filter(([name]) => name !== "state/norm.weight"))
        })
        assert.include(poor.problems.join(), "norm.weight")
        const empty = yield* found("masks", { change: () => ({}) })
        assert.include(empty.problems.at(-1)!, "masks: nothing of it was compared")
        const folder = yield* temporary
        writeFileSync(join(folder, "mixup.json"), "{")
        assert.isFalse(Runner.verdict([yield* Runner.run(folder, "mixup")], []).holds)
      }))
  })

  it.effect("exits with 1 unless every file of a folder is read and holds", () =>
    Effect.gen(function*() {
      const folder = yield* temporary
      const run = (...args: ReadonlyArray<string>) =>
        spawnSync(process.execPath, [
          "--disable-warning=ExperimentalWarning",
          fileURLToPath(new URL("./run.ts", import.meta.url)),
          ...args
        ], { encoding: "utf8" })
      const empty = run(folder)
      assert.deepStrictEqual([empty.status, empty.stderr], [66, `there are no fixtures in ${folder}\n`])
      put(folder, "timm_relpos_resize")
      writeFileSync(join(folder, "README.md"), "")
      const fine = run(folder, "--engine", "reference")
      assert.strictEqual(fine.status, 0, fine.stderr)
      assert.match(fine.stdout, /^ok +timm_relpos_resize +table +2 checks +.* rms of .* +table_6x6_timm_default\n/)
      assert.match(
        fine.stdout,
        /reference: 1 of 1 fixtures hold; 2 checks, 0 out, 0 unread, 0 left on purpose, 0 failed\n$/
      )
      writeFileSync(join(folder, "other.safetensors"), "")
      const stray = run(folder, "--engine", "reference")
      assert.strictEqual(stray.status, 1)
      assert.include(stray.stdout, "UNREAD other.safetensors\n")
      const steam = run(folder, "--engine", "steam")
      assert.deepStrictEqual([steam.status, steam.stderr], [
        64,
        "there is no engine steam: choose onnx, openvino, xla, tensorflow, onnx-web, reference\n"
      ])
    }))
})
