import { assert, describe, it } from "@effect/vitest"
import type * as Graph from "../../src/compiler/graph/Graph.ts"
import { PMEAN, PSUM, RANK } from "../../src/compiler/graph/Varying.ts"
import * as OnnxProgram from "../../src/compiler/programs/OnnxProgram.ts"
import * as Cut from "../../src/compiler/trace/Cut.ts"
import * as Sums from "../../src/compiler/trace/Sums.ts"
import * as Trace from "../../src/compiler/trace/Trace.ts"
import type { TrainStep } from "../../src/shapes/Step.ts"
import { clusters } from "../nn/clusters.ts"
import { casesOf } from "../nn/steps.ts"
import { wide } from "../nn/wide.ts"

type Any = TrainStep<object, object, object>

const sized = casesOf({ image: 16, batch: 4, small: true })
const accumulated = casesOf({ image: 16, batch: 4, accumulate: 2, small: true }).pretrain
const steps = [...Object.values(sized), accumulated, clusters]
  .map(({ step }) => step as Any)

const tracedOf = (step: Any) => Trace.trainStep(step, { external: true, devices: 2 })

const cut = (step: Any, rank = 1) => Cut.of(Sums.of(tracedOf(step), { rank, size: 2 }))

const named = (values: ReadonlyArray<Graph.Value>) => values.map(({ name }) => name)

const whole = (nodes: ReadonlyArray<Graph.Node>) =>
  nodes.filter(({ operation }) => ![PMEAN, PSUM, RANK, "mul"].includes(operation)).length

describe("the step of a rank", () => {
  it("is cut so that every part has what it reads, and nothing is computed twice", () => {
    for (const step of steps) {
      const { graph } = tracedOf(step)
      const parts = cut(step)
      const given = new Set(named(graph.inputs))
      const handed = new Set<string>()
      for (const { graph: part, handed: own, sums } of parts) {
        for (const sum of sums) assert.isTrue(handed.has(sum), sum)
        const known = new Set([...named(part.inputs), ...named(part.constants)])
        for (const name of named(part.inputs)) assert.isTrue(given.has(name) || handed.has(name), name)
        for (const { inputs, operation, outputs } of part.nodes) {
          assert.notInclude([PMEAN, PSUM, RANK], operation)
          for (const name of named(inputs)) assert.isTrue(known.has(name), name)
          for (const name of named(outputs)) known.add(name)
        }
        for (const { value } of part.outputs) assert.isTrue(known.has(value.name), value.name)
        for (const name of [...own, ...part.outputs.map((output) => output.name)]) handed.add(name)
      }
      for (const { name } of graph.outputs) assert.isTrue(handed.has(name) || name.startsWith("factor."), name)
      assert.strictEqual(parts.reduce((sum, part) => sum + whole(part.graph.nodes), 0), whole(graph.nodes), step.name)
    }
  })

  it("hands on little besides sums, and has as few parts as sums follow each other", () => {
    const shown = (step: Any) => cut(step).map(({ handed, sums }) => [sums.length, handed.length] as const)
    const gradients = tracedOf(sized.pretrain.step as Any).adamw.length
    const [first, last, ...more] = shown(sized.pretrain.step as Any)
    assert.deepStrictEqual(more, [])
    assert.strictEqual(first![1], last![0])
    assert.strictEqual(first![1] - gradients, 5)
    assert.strictEqual(shown(clusters.step as Any).length, 5)
  })

  it("divides no gradient, but the norm and the factors of AdamW", () => {
    const [first, last] = cut(sized.pretrain.step as Any)
    const { adamw } = Sums.of(tracedOf(sized.pretrain.step as Any), { rank: 0, size: 2 })
    for (const { factors, gradient } of adamw) {
      assert.include(first!.handed, gradient)
      assert.match(factors.takeFirst, /ranks\.share$/)
      assert.match(factors.takeSecond, /ranks\.square$/)
    }
    for (const { inputs, operation } of last!.graph.nodes) {
      if (inputs.some(({ name }) => name.startsWith("gradient."))) assert.strictEqual(operation, "sumSquares")
    }
  })

  it("divides the number by which a gradient is multiplied", () => {
    const [, last] = cut(accumulated.step as Any)
    const readers = last!.graph.nodes.filter(({ inputs }) => inputs.some(({ name }) => name.startsWith("gradient.")))
    assert.isAbove(readers.length, 0)
    for (const { inputs, operation } of readers) {
      const factors = inputs.filter(({ name }) => !name.startsWith("gradient."))
      assert.deepStrictEqual([operation, factors.map(({ shape }) => shape)], ["mul", [[]]])
      assert.match(factors[0]!.name, /ranks\.share$/)
    }
  })

  it("differs between ranks by their number alone", () => {
    const printed = (rank: number) => JSON.stringify(cut(sized.tokenizer.step as Any, rank))
    assert.notStrictEqual(printed(0), printed(1))
    const [zero, one] = [0, 1].map((rank) => JSON.stringify(cut(sized.pretrain.step as Any, rank)))
    assert.strictEqual(zero, one)
  })

  it("transposes the same gradients as that of one rank", () => {
    const turned = (place?: Sums.Place) =>
      OnnxProgram.trainStep(wide.step, { external: true, place }).adamw.map(({ transposed }) => transposed)
    assert.deepStrictEqual(turned(), [true, false])
    assert.deepStrictEqual(turned({ rank: 0, size: 2 }), turned())
  })

  it("has the same bytes on one rank as without ranks", () => {
    for (const step of steps) {
      const [alone, one] = [undefined, { rank: 0, size: 1 }].map((place) =>
        OnnxProgram.trainStep(step, { external: true, place })
      )
      assert.deepStrictEqual(one, alone)
    }
  })
})
