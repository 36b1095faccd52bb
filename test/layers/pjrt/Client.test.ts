import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import koffi from "koffi"
import * as Client from "../../../src/layers/pjrt/Client.ts"
import * as CompileOptions from "../../../src/layers/pjrt/CompileOptions.ts"
import * as Plugin from "../../../src/layers/pjrt/Plugin.ts"

const NamedValue = koffi.struct("PJRT_NamedValue", {
  struct_size: "size_t",
  extension_start: "uintptr_t",
  name: "uintptr_t",
  name_size: "size_t",
  type: "int",
  int64_value: "int64_t",
  value_size: "size_t"
})

const CreateArgs = koffi.struct("PJRT_Client_Create_Args", {
  struct_size: "size_t",
  extension_start: "uintptr_t",
  create_options: "uintptr_t",
  num_options: "size_t",
  kv_get_callback: "uintptr_t",
  kv_get_user_arg: "uintptr_t",
  kv_put_callback: "uintptr_t",
  kv_put_user_arg: "uintptr_t",
  client: "uintptr_t",
  kv_try_get_callback: "uintptr_t",
  kv_try_get_user_arg: "uintptr_t"
})

type Fields = Readonly<Record<string, number>>

const callback = koffi.pointer(koffi.proto("uintptr_t", ["void *"]))

const textOf = (pointer: number, length: number) => Buffer.from(koffi.view(BigInt(pointer), length)).toString()

const DEVICES = [
  { id: 3, process: 1 },
  { id: 0, process: 2 },
  { id: 2, process: 0 },
  { id: 1, process: 0 }
]

const fake = (created: (struct: bigint) => void): Plugin.Plugin => {
  const answers = (act: (words: BigInt64Array, struct: bigint) => void) =>
    koffi.register((struct: bigint) => {
      const size = Number(new BigInt64Array(koffi.view(struct, 8).slice(0))[0])
      act(new BigInt64Array(koffi.view(struct, size)), struct)
      return 0
    }, callback)
  const pointers = BigInt64Array.from(DEVICES, (_, i) => BigInt(i + 1))
  const one = answers(() => {})
  const words = new BigInt64Array(5 + 120).fill(one)
  words[0] = BigInt(words.byteLength)
  new Int32Array(words.buffer).set([0, 116], 8)
  words[5 + 10] = answers((_, struct) => created(struct))
  words[5 + 15] = answers((told) => told.set([koffi.address(pointers), BigInt(pointers.length)], 3))
  words[5 + 23] = answers((told) => told.set([BigInt(DEVICES[Number(told[2]) - 1]!.id)], 3))
  words[5 + 24] = answers((told) => told.set([BigInt(DEVICES[Number(told[2]) - 1]!.process)], 3))
  words[5 + 29] = answers((told) => told.set([told[2]!], 3))
  return Plugin.fromTable("fake.so", koffi.address(words))
}

describe("a client of several processes", () => {
  it.effect("gives the plugin its number, their number and the functions of keys and values, as C has them", () =>
    Effect.gen(function*() {
      const seen: Array<readonly [Fields, ReadonlyArray<object>]> = []
      const plugin = fake((struct) => {
        const args = koffi.decode(struct, CreateArgs) as Fields
        const size = koffi.sizeof(NamedValue)
        seen.push([
          args,
          Array.from({ length: args["num_options"]! }, (_, i) => {
            const option = koffi.decode(BigInt(args["create_options"]!), i * size, NamedValue) as Fields
            return { ...option, text: textOf(option["name"]!, option["name_size"]!) }
          })
        ])
      })
      const store = { kvGet: 11n, kvPut: 12n, kvTryGet: 13n }
      yield* Client.open(plugin, { node_id: 1n, num_nodes: 2n }, store)
      const [[args, options]] = seen as [typeof seen[number]]
      assert.deepInclude(args, {
        struct_size: koffi.sizeof(CreateArgs),
        extension_start: 0,
        num_options: 2,
        kv_get_callback: 11,
        kv_get_user_arg: 0,
        kv_put_callback: 12,
        kv_put_user_arg: 0,
        kv_try_get_callback: 13,
        kv_try_get_user_arg: 0
      })
      const same = { struct_size: koffi.sizeof(NamedValue), extension_start: 0, type: 1, value_size: 1 }
      assert.deepInclude(options[0], { ...same, text: "node_id", name_size: 7, int64_value: 1 })
      assert.deepInclude(options[1], { ...same, text: "num_nodes", name_size: 9, int64_value: 2 })
    }))

  it.effect("finds the first device of each process, in the order of the processes", () =>
    Effect.gen(function*() {
      const client = yield* Client.open(fake(() => {}))
      const firsts = Client.firsts(client).map(({ id, process }) => ({ id, process }))
      assert.deepStrictEqual(firsts, [{ id: 1, process: 0 }, { id: 3, process: 1 }, { id: 0, process: 2 }])
    }))

  it("names the device of each replica to the compiler, in the message of XLA", () => {
    const bytes = Buffer.from(CompileOptions.encode({ replicas: 2, assignment: [5, 300] })).toString("hex")
    assert.strictEqual(bytes, "1a1c08ffffffffffffffffff01200228014a0b080210011a050a0305ac02")
  })
})
