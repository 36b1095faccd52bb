import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Result } from "effect"
import { existsSync } from "node:fs"
import { tmpdir } from "node:os"
import * as XlaProgram from "../../../src/compiler/programs/XlaProgram.ts"
import * as Steps from "../../../src/laws/EngineSteps.ts"
import * as Files from "../../../src/layers/files/Files.ts"
import * as Card from "../../../src/layers/pjrt/Card.ts"
import * as Client from "../../../src/layers/pjrt/Client.ts"
import type { CompileOptions } from "../../../src/layers/pjrt/CompileOptions.ts"
import * as Plugin from "../../../src/layers/pjrt/Plugin.ts"
import * as Topology from "../../../src/layers/pjrt/Topology.ts"
import { NOTHING, onCpu } from "./cpuPlugin.ts"

const opened = (card: Card.Name, hosts?: number) =>
  Effect.provide(Topology.ofCard(Card.cards[card], hosts), Files.layerNode)

describe("a GPU that is not here", () => {
  it.effect("needs a plugin and a compiler, and says how to get them", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(opened("h200")))
      assert.strictEqual(error._tag, "PluginUnavailable")
      assert.match(error.message, /there is no .*\.so; run "patchword setup xla --platform cuda --part compiler"$/)
    }).pipe(
      Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ XDG_CACHE_HOME: `${tmpdir()}/patchword-none` })))
    ))
})

onCpu("a topology", ({ file }) => {
  it.effect("refuses to describe a GPU", () =>
    Effect.gen(function*() {
      const plugin = yield* Plugin.load(file)
      const error = yield* Effect.flip(Effect.scoped(Topology.open(plugin, Card.cards.h200)))
      assert.strictEqual(error.call, "PJRT_TopologyDescription_Create")
    }))
})

const compiler = await Effect.runPromise(Effect.result(Effect.scoped(opened("h200"))))
if (Result.isFailure(compiler)) console.warn(`compiling for GPUs is skipped: ${compiler.failure.message}`)

describe.skipIf(Result.isFailure(compiler))("compiling for a GPU that is not here", () => {
  const PRODUCT = `module @m { func.func public @main(
    %s: tensor<512x512xf32> {tf.aliasing_output = 0 : i32}, %a: tensor<512x512xf32>
  ) -> (tensor<512x512xf32>, tensor<f32>) {
    %0 = stablehlo.dot_general %a, %s, contracting_dims = [1] x [0] : (tensor<512x512xf32>, tensor<512x512xf32>) -> tensor<512x512xf32>
    %z = stablehlo.constant dense<0.0> : tensor<f32>
    %1 = stablehlo.reduce(%0 init: %z) applies stablehlo.add across dimensions = [0, 1] : (tensor<512x512xf32>, tensor<f32>) -> tensor<f32>
    return %0, %1 : tensor<512x512xf32>, tensor<f32> } }`

  it.effect.each(["a100", "h200"] as const)(
    "tells its launches and its memory, and leaves nothing: %s",
    (card) =>
      Effect.gen(function*() {
        const topology = yield* opened(card)
        const { launches, memory, products, traffic } = yield* Topology.demand(topology, PRODUCT)
        const matrix = 4 * 512 * 512
        assert.strictEqual(products, 1)
        assert.isAbove(launches, 1)
        assert.isAtLeast(traffic, 4 * matrix)
        assert.deepStrictEqual([memory.arguments, memory.donated], [2 * matrix, matrix])
        assert.deepStrictEqual(topology.handles.counts, NOTHING)
      })
  )

  it.effect("makes sums over the GPUs of two ranks of a step of both, and leaves nothing", () =>
    Effect.gen(function*() {
      const topology = yield* opened("h200", 2)
      const together = { place: { rank: 1, size: 2 }, collectives: "inside" } as const
      const { replicas, text } = XlaProgram.trainStep(Steps.regression, together)
      const sums = (program: string, options: CompileOptions) =>
        Effect.map(
          Topology.demand(topology, program, options),
          ({ kinds }) => Object.keys(kinds).filter((kind) => kind.startsWith("all-reduce"))
        )
      assert.strictEqual(text.match(/all_reduce/g)!.length, 3)
      assert.deepStrictEqual(yield* sums(text, { replicas: replicas!, assignment: [1, 0] }), ["all-reduce"])
      assert.deepStrictEqual(yield* sums(XlaProgram.trainStep(Steps.regression).text, {}), [])
      assert.deepStrictEqual(topology.handles.counts, NOTHING)
    }))

  it.effect.skipIf(existsSync("/dev/nvidiactl"))(
    "takes the options of several processes before it looks for its GPU",
    () =>
      Effect.gen(function*() {
        const { plugin } = yield* opened("h200")
        const error = yield* Effect.flip(Client.open(plugin, { preallocate: false, node_id: 1n, num_nodes: 2n }))
        assert.deepInclude(error, { call: "PJRT_Client_Create", code: "FAILED_PRECONDITION" })
        assert.include(error.detail, "No visible GPU devices")
      })
  )

  it.effect("tells what is wrong in a program", () =>
    Effect.gen(function*() {
      const topology = yield* opened("h100")
      const error = yield* Effect.flip(Topology.demand(topology, PRODUCT.replace("%a, %s", "%a, %t")))
      assert.strictEqual(error.call, "PJRT_Compile")
      assert.include(error.detail, "use of undeclared SSA value name")
      assert.deepStrictEqual(topology.handles.counts, NOTHING)
    }))
})
