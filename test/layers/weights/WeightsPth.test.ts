import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Option, Runtime } from "effect"
import { readFileSync } from "node:fs"
import * as Weights from "../../../src/layers/weights/Weights.ts"
import * as Torch from "./torch.ts"

const given = (name: string) => new URL(`./fixtures/${name}`, import.meta.url)

const reading = Effect.fnUntraced(function*(bytes: Uint8Array) {
  const fs = yield* FileSystem.FileSystem
  const file = `${yield* fs.makeTempDirectoryScoped()}/w.pth`
  yield* fs.writeFile(file, bytes)
  return yield* Weights.read(file)
}, Effect.provide(NodeServices.layer))

const written = (value: Torch.Python, storages: ReadonlyArray<Torch.Storage>) =>
  Effect.flatMap(Effect.promise(() => Torch.file(value, storages)), reading)

const storage: Torch.Storage = { key: "0", type: "Float", data: Float32Array.of(1, 2, 3, 4, 5, 6), length: 6 }
const state = Torch.stateDict({ w: { storage, shape: [2, 3] } })
const records = Torch.records(state, [storage])

const failure = (bytes: Uint8Array | Promise<Uint8Array>) =>
  Effect.promise(async () => bytes).pipe(Effect.flatMap(reading), Effect.flip)

const keys = (value: Torch.Python) => Effect.map(written(value, [storage]), ({ tensors }) => Object.keys(tensors))

const dict = (entries: Readonly<Record<string, Torch.Python>>): Torch.Python => ({ dict: Object.entries(entries) })

describe("Weights.read of PyTorch's checkpoints", () => {
  it.effect("reads what PyTorch saved", () =>
    Effect.gen(function*() {
      const { provenance, tensors } = yield* reading(readFileSync(given("torch_save.pth")))
      assert.isTrue(Option.isNone(provenance))
      const { values } = JSON.parse(readFileSync(given("torch_save.json"), "utf8"))
      assert.deepStrictEqual(Object.keys(tensors), Object.keys(values))
      for (const [name, { data, shape }] of Object.entries(tensors)) {
        assert.deepStrictEqual(shape, values[name].shape, name)
        assert.deepStrictEqual([...data], values[name].values.map(Math.fround), name)
      }
      assert.deepStrictEqual(
        Object.entries(tensors).filter(([, { dtype }]) => dtype !== "float32").map((
          [name, { dtype }]
        ) => [name, dtype]),
        [["long", "int32"], ["int", "int32"], ["byte", "int32"], ["bool", "bool"]]
      )
    }))

  it.effect("finds the tensors wherever checkpoints have them", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* keys(state), ["w"])
      assert.deepStrictEqual(yield* keys(dict({ state_dict: state, meta: dict({}) })), ["w"])
      assert.deepStrictEqual(yield* keys(dict({ module: state, epoch: 3 })), ["w"])
      assert.deepStrictEqual(yield* keys(dict({ model: dict({ module: state }), state_dict: dict({}) })), ["w"])
    }))

  it.effect("passes over what official training saves besides", () =>
    Effect.gen(function*() {
      const args: Torch.Python = {
        object: "argparse.Namespace",
        state: { lr: 1.5e-3, betas: [0.9, 0.98], resume: null }
      }
      const rate: Torch.Python = {
        call: "numpy._core.multiarray.scalar",
        args: [{ call: "numpy.dtype", args: ["f8", false, true] }, { call: "_codecs.encode", args: ["x", "latin1"] }]
      }
      assert.deepStrictEqual(yield* keys(dict({ optimizer: dict({ lr: rate }), args, model: state })), ["w"])
    }))

  it.effect("does not even look for what an optimizer holds, nor at sets", () =>
    Effect.gen(function*() {
      const absent: Torch.Storage = { key: "9", type: "Double", data: new Uint8Array(0), length: 1 << 20 }
      const moments = Torch.tensor({ storage: absent, shape: [1024, 1024] })
      const optimizer = dict({ state: { dict: [[0, dict({ step: 7, exp_avg: moments, exp_avg_sq: moments })]] } })
      const sets = ["__builtin__.set", "builtins.set"].map((call): Torch.Python => ({ call, args: [["a"]] }))
      const value = dict({ module: state, optimizer, csr_tensor_module_names: sets })
      assert.deepStrictEqual(yield* keys(value), ["w"])
    }))

  it.effect("gives every view of one storage its own elements", () =>
    Effect.gen(function*() {
      const columns = { storage, shape: [3, 2], strides: [1, 3] }
      const shared = Torch.stateDict({
        whole: { storage, shape: [2, 3] },
        tied: { storage, shape: [2, 3] },
        columns,
        row: { storage, offset: 3, shape: [3] },
        repeated: { storage, offset: 1, shape: [2, 2], strides: [0, 1] },
        last: { storage, offset: 5, shape: [] },
        none: { storage, shape: [0, 3] }
      })
      const { tensors } = yield* written(shared, [storage])
      assert.deepStrictEqual(
        Object.entries(tensors).map(([name, { data, shape }]) => [name, shape, [...data]]),
        [
          ["whole", [2, 3], [1, 2, 3, 4, 5, 6]],
          ["tied", [2, 3], [1, 2, 3, 4, 5, 6]],
          ["columns", [3, 2], [1, 4, 2, 5, 3, 6]],
          ["row", [3], [4, 5, 6]],
          ["repeated", [2, 2], [2, 3, 2, 3]],
          ["last", [], [6]],
          ["none", [0, 3], []]
        ]
      )
    }))

  it.effect("says what is missing, and in which file", () =>
    Effect.gen(function*() {
      const { "archive/data/0": _, ...lost } = records
      const missing = yield* failure(Torch.archive(lost))
      assert.strictEqual(missing.reason._tag, "PthError")
      assert.strictEqual(missing[Runtime.errorExitCode], 65)
      assert.match(missing.message, /^weights .*w\.pth: PyTorch checkpoint: the archive has no data\/0; /)

      const { "archive/data.pkl": __, ...unread } = records
      assert.include((yield* failure(Torch.archive(unread))).message, "the archive has no data.pkl")

      const empty = yield* failure(Torch.file(dict({ epoch: 3, model: dict({ a: 1 }) }), []))
      assert.include(empty.message, "it has no tensors at the top or in model, module, state_dict. Its keys: a;")
    }))

  it.effect("takes no memory for what a small file only repeats", () =>
    Effect.gen(function*() {
      const one = { ...storage, data: Float32Array.of(1), length: 1 }
      const huge = Torch.stateDict({ w: { storage: one, shape: [2 ** 31 - 1, 1], strides: [0, 1] } })
      const repeated = yield* failure(Torch.file(huge, [one]))
      assert.strictEqual(repeated[Runtime.errorExitCode], 65)
      assert.include(repeated.message, "its tensors up to \"w\" have 2147483647 elements, but only 1 are stored")

      const many = Object.fromEntries(
        Array.from({ length: 64 }, (_, i) => [`w${i}`, { storage: one, shape: [2 ** 17], strides: [0] }])
      )
      assert.include((yield* failure(Torch.file(Torch.stateDict(many), [one]))).message, "up to \"w32\"")

      const claimed = { ...storage, length: 2 ** 30 }
      const short = yield* failure(Torch.file(Torch.stateDict({ w: { storage: claimed, shape: [6] } }), [claimed]))
      assert.include(short.message, "data/0 has 24 bytes but 4294967296 are expected")

      const axes = Torch.stateDict({ w: { storage: one, shape: Array.from({ length: 65 }, () => 1) } })
      assert.strictEqual((yield* failure(Torch.file(axes, [one]))).reason._tag, "PickleError")
    }))

  it.effect("opens no record that claims more than the file has", () =>
    Effect.gen(function*() {
      const zeros = { ...storage, data: new Float32Array(2 ** 20), length: 2 ** 20 }
      const value = Torch.stateDict({ w: { storage: zeros, shape: [2 ** 20] } })
      const packed = yield* failure(Torch.archive(Torch.records(value, [zeros]), 9))
      assert.match(packed.message, /data\/0 claims 4194304 bytes in a file of \d{4}\b/)
    }))

  it.effect("lists no more than a few keys, whatever they are", () =>
    Effect.gen(function*() {
      const doubled = "2\x86".repeat(40)
      const record = Buffer.from(`\x80\x02}K\x01${doubled}NsX\x01\0\0\0aNs.`, "latin1")
      const keys = yield* failure(Torch.archive({ "archive/data.pkl": record }))
      assert.include(keys.message, "Its keys: object, a;")
    }))

  it.effect("refuses records of other lengths and byte orders", () =>
    Effect.gen(function*() {
      const short = yield* failure(Torch.archive({ ...records, "archive/data/0": new Uint8Array(20) }))
      assert.include(short.message, "data/0 has 20 bytes but 24 are expected")
      const big = yield* failure(Torch.archive({ ...records, "archive/byteorder": new TextEncoder().encode("big") }))
      assert.include(big.message, "byte order is big")
      const long = { key: "0", type: "Long", data: BigInt64Array.of(1n, 1n << 40n), length: 2 }
      const wide = yield* failure(Torch.file(Torch.stateDict({ w: { storage: long, shape: [2] } }), [long]))
      assert.include(wide.message, "data/0 holds 1099511627776, which does not fit in int32")
      const reach = Torch.stateDict({ w: { storage, offset: 1, shape: [2, 3] } })
      const out = yield* failure(Torch.file(reach, [storage]))
      assert.include(out.message, "tensor \"w\" needs 7 elements of a storage of 6")
    }))

  it.effect("executes nothing", () =>
    Effect.gen(function*() {
      const harm: Torch.Python = { call: "posix.system", args: ["true"] }
      for (
        const value of [harm, dict({ model: state, args: harm }), dict({ model: state, hook: { global: "os.system" } })]
      ) {
        const error = yield* failure(Torch.file(value, [storage]))
        assert.strictEqual(error.reason._tag, "PickleError")
        assert.strictEqual(error[Runtime.errorExitCode], 65)
        assert.match(error.message, /it calls (?:posix|os)\.system\. Weights do not need this call/)
      }
    }))

  it.effect("reads the tensors of compiled programs, as which CLIP was published, and runs no code", () =>
    Effect.gen(function*() {
      const { tensors } = yield* reading(readFileSync(given("torch_script.pt")))
      const { shapes, values } = JSON.parse(readFileSync(given("torch_script.json"), "utf8"))
      assert.deepStrictEqual(
        Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, [...shape]])),
        shapes
      )
      for (const [name, expected] of Object.entries(values)) {
        assert.deepStrictEqual(Array.from(tensors[name]!.data), expected, name)
      }
      assert.strictEqual(tensors["input_resolution"]!.dtype, "int32")
      assert.strictEqual(tensors["visual.proj"]!.dtype, "float32")
    }))

  it.effect("reads a program's modules once, and refuses one without tensors or with calls of others", () =>
    Effect.gen(function*() {
      const part = (state: Readonly<Record<string, Torch.Python>>): Torch.Python => ({
        object: "__torch__.multimodal.Part",
        state
      })
      const inner = part({ training: false, w: Torch.tensor({ storage, shape: [6] }) })
      const sizes: Torch.Python = { call: "torch.jit._pickle.build_intlist", args: [[1, 2]] }
      assert.deepStrictEqual(yield* keys(part({ visual: inner, sizes, text: part({ visual: inner }) })), [
        "visual.w",
        "text.visual.w"
      ])
      const empty = yield* failure(Torch.file(part({ training: false }), []))
      assert.include(empty.message, "it has no tensors")
      const itself = Buffer.from("\x80\x02c__torch__\nM\n)\x81q\0}(X\x04\0\0\0selfh\0ub.", "latin1")
      const round = yield* failure(Torch.archive({ "archive/data.pkl": itself }))
      assert.include(round.message, "it has no tensors")
      const harm = yield* failure(Torch.file(part({ w: { call: "os.system", args: ["true"] } }), []))
      assert.include(harm.message, "it calls os.system. Weights do not need this call")
    }))

  it.effect("fails typed on archives that are cut off or damaged anywhere", () =>
    Effect.gen(function*() {
      const whole = yield* Effect.promise(() => Torch.archive(records))
      for (let length = 12; length < whole.length; length += 37) {
        const error = yield* failure(whole.subarray(0, length))
        assert.strictEqual(error.reason._tag, "PthError")
        assert.include(error.message, "cut off or damaged")
      }
      const flipped = whole.slice()
      flipped[Buffer.from(whole).indexOf(Buffer.from(Float32Array.of(1, 2, 3).buffer))]! ^= 1
      assert.include((yield* failure(flipped)).message, "cut off or damaged")
    }))

  it.effect("says what to do with files of the old format", () =>
    Effect.gen(function*() {
      const old = Buffer.from("80028a0a6cfc9c46f9206aa850192e80024de9032e", "hex")
      const error = yield* failure(old)
      assert.strictEqual(error[Runtime.errorExitCode], 65)
      assert.include(error.message, "before PyTorch 1.6; load it in PyTorch and save it again")
    }))
})
