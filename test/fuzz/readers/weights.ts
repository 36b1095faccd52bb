/** Readers of tensors: safetensors, checkpoints of PyTorch, compiled programs of PyTorch. */
import { Effect, Schema } from "effect"
import { Option } from "effect"
import { readFileSync } from "node:fs"
import * as InspectionText from "../../../src/cli/terminal/InspectionText.ts"
import * as Pth from "../../../src/domain/weights/Pth.ts"
import * as Safetensors from "../../../src/domain/weights/Safetensors.ts"
import * as Weights from "../../../src/layers/weights/Weights.ts"
import * as Inspect from "../../../src/pipelines/artifacts/Inspect.ts"
import * as Torch from "../../layers/weights/torch.ts"
import type { Files, Reader } from "../Case.ts"
import type { Draw } from "../Draw.ts"
import * as Hostile from "../Hostile.ts"
import * as Mutation from "../Mutation.ts"

/** Inspects a path, and shows it as the command does. */
export const inspected = Effect.fnUntraced(function*(path: string) {
  const found = yield* Inspect.inspect(path)
  Schema.encodeSync(Inspect.Inspection)(found)
  return InspectionText.lines(found).join("\n")
})

/** Reads weights in all ways. Each way fails as the first does, or not at all. */
const all = Effect.fnUntraced(function*(file: string) {
  const listed = yield* Effect.option(Weights.list(file))
  const text = yield* inspected(file)
  const read = yield* Weights.read(file, { anyNumber: true })
  const wrong = Option.isSome(listed) && Object.keys(listed.value.tensors).length !== Object.keys(read.tensors).length
    ? { wrong: "the list has other tensors than the file" }
    : {}
  return { text, ...wrong }
})

const float = (shape: ReadonlyArray<number>): Safetensors.Tensor => ({
  shape,
  dtype: "float32",
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i / 7)
})

const header = (text: string, data: Uint8Array, claimed = BigInt(Buffer.byteLength(text))): Uint8Array => {
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(claimed)
  return Buffer.concat([length, Buffer.from(text), data])
}

const FILE = "model.safetensors"

const entry = { dtype: "F32", shape: [2, 3], data_offsets: [0, 24] }

const safetensorsMade = (draw: Draw): Files => {
  const whole = JSON.stringify({
    __metadata__: { format: "pt", "patchword.provenance": "{}" },
    "blocks.0.weight": entry,
    bias: {
      dtype: draw.of(["F16", "BF16", "F64", "I64", "U8", "BOOL", "F8", "__proto__"]),
      shape: [2],
      data_offsets: [24, 28]
    }
  })
  const text = Mutation.json(draw, whole)
  const claimed = draw.chance(0.1)
    ? draw.of([0n, 1n, 99_999_999n, 100_000_001n, 2n ** 53n, 2n ** 64n - 1n])
    : BigInt(Buffer.byteLength(text))
  return { [FILE]: header(text, new Uint8Array(draw.of([28, 24, 0, 40])), claimed) }
}

const index = (places: Readonly<Record<string, string>>): Files => ({
  "model.safetensors.index.json": JSON.stringify({ metadata: { total_size: 24 }, weight_map: places }),
  "model-1.safetensors": Safetensors.encode({ a: float([2]) }),
  "model-2.safetensors": Safetensors.encode({ b: float([3]) })
})

export const safetensors: Reader = {
  name: "safetensors",
  tests: 400,
  seeds: async () => [
    { [FILE]: Safetensors.encode({ "blocks.0.weight": float([2, 3]), bias: float([2]), empty: float([0]) }) },
    { [FILE]: Safetensors.encode({ x: float([1]) }, { format: "pt", note: "a" }) },
    index({ a: "model-1.safetensors", b: "model-2.safetensors" })
  ],
  make: safetensorsMade,
  read: (folder) =>
    Effect.gen(function*() {
      const found = yield* Effect.option(inspected(`${folder}/model.safetensors.index.json`))
      return Option.isSome(found) ? { text: found.value } : yield* all(`${folder}/${FILE}`)
    })
}

const storage = (key: string, type = "Float", length = 6): Torch.Storage => ({
  key,
  type,
  data: new Uint8Array(Math.min(length, 6) * 4),
  length
})

/** The number that stands for one of {@link WIDE}. */
const MARK = 1_234_567
const MARKED = Buffer.from("4a87d61200", "hex")
const WIDE = [2n ** 31n, 2n ** 40n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, -1n, -(2n ** 53n)]

/** Replaces marks in a pickle by numbers of 64 bits. */
const widened = (draw: Draw, pickle: Uint8Array): Uint8Array => {
  const parts: Array<Uint8Array> = []
  let rest = Buffer.from(pickle)
  for (let at = rest.indexOf(MARKED); at >= 0; at = rest.indexOf(MARKED)) {
    const long = Buffer.alloc(10)
    long.set([0x8a, 8])
    long.writeBigInt64LE(draw.of(WIDE), 2)
    parts.push(rest.subarray(0, at), long)
    rest = rest.subarray(at + MARKED.length)
  }
  return Buffer.concat([...parts, rest])
}

const hostileNumber = (draw: Draw): number =>
  draw.of([0, 1, 2, 3, 6, 7, -1, MARK, MARK, MARK, 2 ** 31 - 1, 255, 0.5, 1e308, 1e-320, NaN, Infinity])

const python = (draw: Draw, depth: number): Torch.Python => {
  const inner = () => python(draw, depth - 1)
  switch (draw.below(depth <= 0 ? 4 : 11)) {
    case 0:
      return draw.of([null, true, false])
    case 1:
      return hostileNumber(draw)
    case 2:
      return Hostile.name(draw)
    case 3:
      return { global: draw.of(["torch.FloatStorage", "collections.OrderedDict", "torch.Size", "os.system"]) }
    case 4:
      return Array.from({ length: draw.below(4) }, inner)
    case 5:
      return { tuple: Array.from({ length: draw.below(4) }, inner) }
    case 6:
      return {
        dict: Array.from(
          { length: draw.below(4) },
          () =>
            [
              draw.chance(0.7) ? draw.of(["model", "module", "state_dict", "a", "__proto__"]) : inner(),
              inner()
            ] as const
        )
      }
    case 7:
      return Torch.tensor({
        storage: storage(
          draw.of(["0", "1", "../0", "__proto__"]),
          draw.of(["Float", "Half", "Long", "Bool", "Int"]),
          draw.of([0, 6, 2 ** 31 - 1])
        ),
        offset: draw.of([0, 1, 2 ** 31 - 1, -1]),
        shape: Array.from({ length: draw.below(draw.of([3, 70])) }, () => hostileNumber(draw)),
        strides: Array.from({ length: draw.below(draw.of([3, 70])) }, () => hostileNumber(draw))
      })
    case 8:
      return {
        call: draw.of([
          "collections.OrderedDict",
          "torch._utils._rebuild_parameter",
          "argparse.Namespace",
          "numpy.dtype",
          "builtins.set"
        ]),
        args: draw.chance(0.5) ? [] : [inner()],
        items: [["a", inner()]]
      }
    case 9:
      return {
        object: draw.of(["argparse.Namespace", "__torch__.A", "__torch__.B"]),
        state: { [Hostile.name(draw)]: inner(), a: inner() }
      }
    default:
      return {
        persistent: {
          tuple: ["storage", { global: "torch.FloatStorage" }, Hostile.name(draw), "cpu", hostileNumber(draw)]
        }
      }
  }
}

/** Lists that hold the list before them twice: few bytes, and endless when written out. */
const doubled = (levels: number): ReadonlyArray<number> => {
  const out = [0x5d, 0x71, 0]
  for (let level = 1; level <= levels; level++) out.push(0x68, level - 1, 0x68, level - 1, 0x86, 0x71, level)
  return out
}

const pickled = (draw: Draw): Uint8Array => {
  const levels = draw.of([2, 20, 60, 200])
  switch (draw.below(7)) {
    case 6: {
      const axes = (values: ReadonlyArray<number>) =>
        Array.from({ length: 1 + draw.below(draw.of([3, 40])) }, () => draw.of(values))
      const shape = axes([0, 1, 2, MARK])
      const strides = draw.chance(0.7) ? shape.map(() => draw.of([0, 1, MARK])) : axes([0, 1])
      const held = storage("0", "Float", draw.of([0, 6, MARK]))
      return widened(
        draw,
        Torch.pickle(Torch.stateDict({ w: { storage: held, shape, strides, offset: draw.of([0, 1, MARK]) } }))
      )
    }
    case 0:
      return Uint8Array.from([0x80, 2, ...Array<number>(draw.of([10, 2000, 100_000])).fill(0x5d), 0x2e])
    case 1:
      return Uint8Array.from([0x80, 2, 0x7d, ...doubled(levels), 0x4b, 1, 0x73, 0x2e])
    case 2: {
      const nested = draw.of([5, 1000, 60_000])
      return Uint8Array.from([0x80, 2, 0x7d, 0x5d, ...Array<number>(nested).fill(0x85), 0x4b, 1, 0x73, 0x2e])
    }
    case 3:
      return Mutation.bytes(draw, widened(draw, Torch.pickle(python(draw, 3))))
    case 4:
      return Uint8Array.from([
        0x80,
        2,
        ...Array.from({ length: draw.below(40) }, () =>
          draw.of([
            0x28,
            0x5d,
            0x7d,
            0x29,
            0x85,
            0x86,
            0x87,
            0x74,
            0x75,
            0x73,
            0x61,
            0x65,
            0x62,
            0x52,
            0x81,
            0x51,
            0x71,
            0x68,
            0,
            1,
            0x4b,
            0x94,
            0x4e
          ])),
        0x2e
      ])
    default:
      return widened(draw, Torch.pickle(python(draw, 4)))
  }
}

const PTH = "weights.pth"

const valid = (): Promise<Uint8Array> => {
  const data: Torch.Storage = { key: "0", type: "Float", data: Float32Array.of(1, 2, 3, 4, 5, 6), length: 6 }
  return Torch.file({
    dict: [[
      "model",
      Torch.stateDict({ w: { storage: data, shape: [2, 3] }, t: { storage: data, shape: [3, 2], strides: [1, 3] } })
    ]]
  }, [data])
}

const pthMade = async (draw: Draw): Promise<Files> => {
  const data = { "archive/data/0": new Uint8Array(draw.of([24, 0, 12])), "archive/data/1": new Uint8Array(24) }
  const pickle = pickled(draw)
  const prefix = draw.of(["archive/", "archive/", "", "../", "a/b/"])
  const bomb = draw.chance(0.03) ? { "archive/data/0": new Uint8Array(2 ** 24) } : {}
  const zip = await Torch.archive({
    [`${prefix}data.pkl`]: pickle,
    ...(draw.chance(0.3) ? { [`${prefix}byteorder`]: Buffer.from(draw.of(["little", "big", "\u001b[2J"])) } : {}),
    ...data,
    ...bomb
  }, draw.chance(0.1) ? 9 : 0)
  return { [PTH]: draw.chance(0.2) ? Mutation.bytes(draw, zip) : zip }
}

export const pth: Reader = {
  name: "pth",
  tests: 80,
  seeds: async () => [
    { [PTH]: await valid() },
    { [PTH]: readFileSync(new URL("../../layers/weights/fixtures/torch_save.pth", import.meta.url)) }
  ],
  make: pthMade,
  read: (folder) => all(`${folder}/${PTH}`)
}

export const torchscript: Reader = {
  name: "torchscript",
  tests: 50,
  seeds: async () => {
    const data = storage("0")
    const tree: Torch.Python = {
      object: "__torch__.Clip",
      state: { visual: { object: "__torch__.Vit", state: { weight: Torch.tensor({ storage: data, shape: [2, 3] }) } } }
    }
    return [
      { [PTH]: await Torch.file(tree, [data]) },
      { [PTH]: readFileSync(new URL("../../layers/weights/fixtures/torch_script.pt", import.meta.url)) }
    ]
  },
  make: async (draw) => {
    const data = storage("0")
    const weight = Torch.tensor({ storage: data, shape: [2, 3] })
    const tree = (depth: number): Torch.Python => ({
      object: `__torch__.${draw.of(["A", "B", Hostile.name(draw).replaceAll("\n", "")])}`,
      state: {
        [draw.chance(0.7) ? draw.of(["a", "visual"]) : Hostile.name(draw)]: depth > 0 ? tree(depth - 1) : weight,
        b: draw.chance(0.3) ? python(draw, 2) : weight
      }
    })
    return { [PTH]: await Torch.file(tree(draw.of([0, 2, 200])), [data]) }
  },
  read: (folder) => all(`${folder}/${PTH}`)
}

/** The pickle alone, without an archive around it. */
export const pickle: Reader = {
  name: "pickle",
  tests: 400,
  seeds: async () => [{ "data.pkl": Torch.pickle(Torch.stateDict({ w: { storage: storage("0"), shape: [2, 3] } })) }],
  make: (draw) => ({ "data.pkl": pickled(draw) }),
  read: (folder) =>
    Effect.gen(function*() {
      const views = yield* Effect.fromResult(Pth.views(readFileSync(`${folder}/data.pkl`)))
      for (const view of views) {
        yield* Effect.ignore(
          Effect.fromResult(
            Pth.tensor(view, { dtype: "float32", data: new Float32Array(Math.min(view.storage.length, 6)) })
          )
        )
      }
      return {}
    }).pipe(
      Effect.catchDefect((cause) => cause instanceof Error && "code" in cause ? Effect.succeed({}) : Effect.die(cause))
    )
}
