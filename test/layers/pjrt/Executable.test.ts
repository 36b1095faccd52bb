import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Client } from "../../../src/layers/pjrt/Client.ts"
import * as DeviceArray from "../../../src/layers/pjrt/DeviceArray.ts"
import * as Executable from "../../../src/layers/pjrt/Executable.ts"
import type * as HostTensor from "../../../src/shapes/HostTensor.ts"
import { flags, floats, ints } from "./arrays.ts"
import { NOTHING, onCpu } from "./cpuPlugin.ts"

const main = (signature: string, body: string, attributes = "") =>
  `module @test ${attributes} { func.func public @main${signature} { ${body} } }`

const ADD = main(
  "(%a: tensor<3xf32>, %b: tensor<3xf32>) -> tensor<3xf32>",
  "%0 = stablehlo.add %a, %b : tensor<3xf32> return %0 : tensor<3xf32>"
)

const run = (client: Client, executable: Executable.Executable, ...given: ReadonlyArray<HostTensor.Any>) => {
  const { arrays, sent } = DeviceArray.upload(client, client.devices[0]!, given)
  const { completed, results } = Executable.execute(client, executable, [arrays])
  client.handles.settle([...sent, ...completed])
  const types = executable.results.map(({ dtype, shape }) => ({ dtype: dtype as HostTensor.DType, shape }))
  const found = DeviceArray.download(client, results[0]!, types)
  for (const array of [...arrays, ...results[0]!]) client.handles.free(array)
  return found
}

onCpu("a program", ({ isOldest, opened }) => {
  it.effect("adds two arrays, and leaves nothing when it is freed", () =>
    Effect.gen(function*() {
      const client = yield* opened()
      const executable = Executable.compile(client, ADD)
      assert.deepStrictEqual(run(client, executable, floats(1, 2, 3), floats(10, 20, 30)), [floats(11, 22, 33)])
      assert.deepStrictEqual(client.handles.counts, { ...NOTHING, loaded: 1, executable: 1 })
      Executable.free(client, executable)
      assert.deepStrictEqual(client.handles.counts, NOTHING)
    }))

  it.effect("takes and returns float32, int32 and bool arrays, scalars and arrays without elements", () =>
    Effect.gen(function*() {
      const client = yield* opened()
      const types = ["2xf32", "3xi32", "4xi1", "f32", "0x2xf32"].map((type) => `tensor<${type}>`)
      const program = main(
        `(${types.map((type, place) => `%a${place}: ${type}`).join(", ")}) -> (${types.join(", ")})`,
        `return %a0, %a1, %a2, %a3, %a4 : ${types.join(", ")}`
      )
      const given: ReadonlyArray<HostTensor.Any> = [
        floats(-0, NaN),
        ints(-1, 2 ** 31 - 1, 7),
        flags(true, false, false, true),
        { shape: [], dtype: "float32", data: Float32Array.of(0.5) },
        { shape: [0, 2], dtype: "float32", data: new Float32Array(0) }
      ]
      const executable = Executable.compile(client, program)
      assert.deepStrictEqual(executable.results, given.map(({ dtype, shape }) => ({ dtype, shape })))
      assert.deepStrictEqual(run(client, executable, ...given), given)
    }))

  it.effect("that is wrong fails with the compiler's words, and leaves nothing", () =>
    Effect.gen(function*() {
      const client = yield* opened()
      const wrong = ADD.replace("stablehlo.add %a, %b", "stablehlo.add %a, %c")
      const error = yield* Effect.flip(client.handles.attempt(() => Executable.compile(client, wrong)))
      assert.strictEqual(error.call, "PJRT_Client_Compile")
      assert.include(error.detail, "use of undeclared SSA value name")
      assert.deepStrictEqual(client.handles.counts, NOTHING)
    }))

  it.effect("ends with its text, whatever lies behind it in memory", () =>
    Effect.gen(function*() {
      const client = yield* opened()
      for (let size = 1; size < 64; size++) {
        const error = yield* Effect.flip(
          client.handles.attempt(() => Executable.compile(client, "module".padEnd(5 + size, "x")))
        )
        assert.include(error.detail, "error: ")
      }
    }))

  it.effect("takes flags of XLA, and refuses those that XLA does not know", () =>
    Effect.gen(function*() {
      const client = yield* opened()
      const flags = { xla_cpu_enable_fast_math: false, xla_gpu_deterministic_ops: true }
      const executable = Executable.compile(client, ADD, { flags })
      assert.deepStrictEqual(run(client, executable, floats(1, 2, 3), floats(1, 1, 1)), [floats(2, 3, 4)])
      const error = yield* Effect.flip(
        client.handles.attempt(() => Executable.compile(client, ADD, { flags: { xla_nothing: true } }))
      )
      assert.strictEqual(error.detail, "No such compile option: 'xla_nothing'")
    }))

  it.effect("fails if arguments are missing, and leaves only what was there", () =>
    Effect.gen(function*() {
      const client = yield* opened()
      const executable = Executable.compile(client, ADD)
      const error = yield* Effect.flip(client.handles.attempt(() => run(client, executable, floats(1, 2, 3))))
      assert.deepInclude(error, { call: "PJRT_LoadedExecutable_Execute", code: "INVALID_ARGUMENT" })
      assert.deepStrictEqual(client.handles.counts, { ...NOTHING, loaded: 1, executable: 1 })
    }))

  it.effect("is the same after it was bytes", () =>
    Effect.gen(function*() {
      const client = yield* opened()
      const bytes = Executable.serialize(client, Executable.compile(client, ADD))
      const other = yield* opened()
      const executable = Executable.deserialize(other, bytes)
      assert.deepStrictEqual(executable.results, [{ dtype: "float32", shape: [3] }])
      assert.deepStrictEqual(run(other, executable, floats(1, 2, 3), floats(1, 1, 1)), [floats(2, 3, 4)])
    }))

  it.effect("sums over several devices", () =>
    Effect.gen(function*() {
      const client = yield* opened({ cpu_device_count: 2n })
      const program = main(
        "(%a: tensor<2xf32>) -> tensor<2xf32>",
        `%0 = "stablehlo.all_reduce"(%a) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({
          ^bb0(%x: tensor<f32>, %y: tensor<f32>):
            %s = stablehlo.add %x, %y : tensor<f32>
            stablehlo.return %s : tensor<f32>
        }) : (tensor<2xf32>) -> tensor<2xf32>
        return %0 : tensor<2xf32>`,
        "attributes {mhlo.num_replicas = 2 : i32}"
      )
      const executable = Executable.compile(client, program, { replicas: 2 })
      const uploads = client.devices.map((device, place) =>
        DeviceArray.upload(client, device, [floats(place + 1, 10 * (place + 1))])
      )
      const { completed, results } = Executable.execute(client, executable, uploads.map(({ arrays }) => arrays))
      client.handles.settle([...uploads.flatMap(({ sent }) => sent), ...completed])
      const type = { shape: [2], dtype: "float32" } as const
      for (const made of results) assert.deepStrictEqual(DeviceArray.download(client, made, [type]), [floats(3, 30)])
    }))

  it.effect("runs its replicas on the devices that are named", () =>
    Effect.gen(function*() {
      const client = yield* opened({ cpu_device_count: 3n })
      const [, one, two] = client.devices
      const program = main(
        "(%a: tensor<1xf32>) -> tensor<1xf32>",
        `%0 = stablehlo.replica_id : tensor<ui32>
        %1 = stablehlo.convert %0 : (tensor<ui32>) -> tensor<f32>
        %2 = stablehlo.reshape %1 : (tensor<f32>) -> tensor<1xf32>
        %3 = stablehlo.add %a, %2 : tensor<1xf32>
        return %3 : tensor<1xf32>`,
        "attributes {mhlo.num_replicas = 2 : i32}"
      )
      const executable = Executable.compile(client, program, { replicas: 2, assignment: [two!.id, one!.id] })
      const uploads = [two!, one!].map((device) => DeviceArray.upload(client, device, [floats(10)]))
      const { completed, results } = Executable.execute(client, executable, uploads.map(({ arrays }) => arrays))
      client.handles.settle([...uploads.flatMap(({ sent }) => sent), ...completed])
      const type = { shape: [1], dtype: "float32" } as const
      const found = results.map((made) => DeviceArray.download(client, made, [type]))
      assert.deepStrictEqual(found, [[floats(10)], [floats(11)]])
    }))

  it.effect.skipIf(isOldest)(
    "may have devices of other processes, which XLA does not run on a processor",
    () =>
      Effect.gen(function*() {
        const client = yield* opened({ cpu_device_count: 1n })
        const program = main(
          "(%a: tensor<1xf32>) -> tensor<1xf32>",
          "return %a : tensor<1xf32>",
          "attributes {mhlo.num_replicas = 2 : i32}"
        )
        const OF_SECOND_PROCESS = 131_072
        const assignment = [client.devices[0]!.id, OF_SECOND_PROCESS]
        const error = yield* Effect.flip(
          client.handles.attempt(() => Executable.compile(client, program, { replicas: 2, assignment }))
        )
        assert.strictEqual(error.detail, "Multiprocess computations aren't implemented on the CPU backend.")
      })
  )

  it.effect("is freed with its client", () =>
    Effect.gen(function*() {
      const client = yield* Effect.scoped(Effect.tap(opened(), (client) =>
        Effect.sync(() => {
          Executable.compile(client, ADD)
          DeviceArray.upload(client, client.devices[0]!, [floats(1, 2, 3)])
        })))
      assert.deepStrictEqual(client.handles.counts, NOTHING)
    }))

  it.effect("cannot be used when it is freed", () =>
    Effect.gen(function*() {
      const client = yield* opened()
      const executable = Executable.compile(client, ADD)
      Executable.free(client, executable)
      assert.throws(() => Executable.execute(client, executable, [[]]), "this handle (loaded) is freed")
    }))
})
