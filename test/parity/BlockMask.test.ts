import { assert, describe, it } from "@effect/vitest"
import * as BlockMask from "../../src/domain/BlockMask.ts"
import * as Golden from "./golden.ts"

type Call =
  | readonly ["uniform" | "randint", number, number, number]
  | readonly ["choice_without_replacement", number, number, ReadonlyArray<number>]

const sets: ReadonlyArray<readonly [string, BlockMask.Options]> = [
  ["grid14_75_min16", { height: 14, width: 14, count: 75, minBlock: 16 }],
  ["grid4_6_min2", { height: 4, width: 4, count: 6, minBlock: 2 }],
  ["grid8x12_40_min4_max20", { height: 8, width: 12, count: 40, minBlock: 4, maxBlock: 20 }]
]

const golden = Golden.tensors("masks")
const info = Golden.json("masks").info

const replay = (calls: ReadonlyArray<Call>) => {
  let position = 0
  const next = (call: Call[0], a: number, b: number) => {
    const recorded = calls[position++]
    assert.isDefined(recorded, `draw ${position} was not made officially`)
    assert.strictEqual(recorded[0], call)
    assert.closeTo(recorded[1], a, 1e-12)
    assert.closeTo(recorded[2], b, 1e-12)
    return recorded[3]
  }
  const draws: BlockMask.Draws = {
    uniform: (low, high) => Number(next("uniform", low, high)),
    integer: (low, high) => Number(next("randint", low, high)),
    sample: (population, count) => {
      const chosen = next("choice_without_replacement", population, count)
      return typeof chosen === "number" ? [chosen] : chosen
    }
  }
  return { draws, done: () => position === calls.length }
}

describe.each(sets)("BlockMask against the official generator, %s", (name, options) => {
  const traces: ReadonlyArray<ReadonlyArray<Call>> = Golden.json(`masks_trace_${name}`)

  it.each(traces.map((calls, i) => ({ calls, i })))("replays the draws of mask $i", ({ calls, i }) => {
    const { done, draws } = replay(calls)
    const mask = BlockMask.make(options, draws)
    assert.deepStrictEqual([...mask], [...golden(`${name}/trace_${i}_mask`).data])
    assert.isTrue(done())
  })

  it("draws masks of the same statistics", () => {
    const total = 10_000
    const frequency = new Float64Array(options.height * options.width)
    const histogram = (key: string) => {
      const official = Array.from(golden(`${name}/${key}`).data)
      const sum = official.reduce((a, b) => a + b, 0)
      const counts = new Float64Array(official.length)
      return {
        add: (value: number) => {
          counts[Math.min(value, counts.length - 1)]!++
        },
        distance: () => {
          const own = counts.reduce((a, b) => a + b, 0)
          return Math.max(...counts.map((count, i) => Math.abs(count / own - official[i]! / sum)))
        }
      }
    }
    const blocks = histogram("block_count_hist")
    const filled = histogram("topup_hist")
    const added = histogram("block_new_cells_hist")
    for (let index = 0; index < total; index++) {
      let count = 0
      let covered = 0
      const draws = BlockMask.draws({ seed: 1, purpose: "mask", epoch: 0, index })
      const mask = BlockMask.make(options, draws, (block) => {
        count++
        covered += block.added
        added.add(block.added)
      })
      blocks.add(count)
      filled.add(options.count - covered)
      mask.forEach((masked, cell) => {
        frequency[cell]! += masked / total
      })
    }
    const official = golden(`${name}/position_frequency`).data
    assert.isBelow(Math.max(...frequency.map((f, cell) => Math.abs(f - official[cell]!))), 0.03)
    assert.isBelow(blocks.distance(), 0.025)
    assert.isBelow(filled.distance(), 0.025)
    assert.isBelow(added.distance(), 0.01)
    assert.strictEqual(info[name].totals_seen[0], options.count)
  })
})
