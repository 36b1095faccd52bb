import { assert, describe, it } from "@effect/vitest"
import * as Pulse from "../../../src/layers/ranks/Pulse.ts"

const LIMIT = 1600
const STEP = 50

const job = (size: number) => {
  let time = 0
  const stops: Array<number> = []
  const boxes = new Map<string, Array<Pulse.Beat>>()
  const box = (from: number, to: number) => {
    const key = `${from} ${to}`
    const found = boxes.get(key) ?? []
    boxes.set(key, found)
    return found
  }
  const pulses = Array.from({ length: size }, (_, rank) =>
    Pulse.make({
      rank,
      size,
      limit: LIMIT,
      begun: 0,
      onStop: () => void stops.push(rank),
      link: {
        send: (beat, to) => {
          box(rank, to).push(beat)
          return () => true
        },
        receive: (from) => () => box(from, rank).shift()
      }
    }))
  const pass = (millis: number, ranks = pulses.map((_, rank) => rank)) => {
    for (let passed = 0; passed < millis; passed += STEP) {
      time += STEP
      for (const rank of ranks) pulses[rank]!.tick(time)
    }
  }
  return {
    pulses,
    stops,
    pass,
    verdicts: () => pulses.map((pulse) => pulse.verdict()),
    over: () => pulses.map((pulse) => pulse.isOver())
  }
}

describe("a pulse", () => {
  it("goes on while all work, and ends when all have finished", () => {
    const { over, pass, pulses, verdicts } = job(3)
    pass(10 * LIMIT)
    for (const rank of [1, 2]) pulses[rank]!.become("finished")
    pass(10 * LIMIT)
    assert.deepStrictEqual([verdicts(), over()], [[undefined, undefined, undefined], [false, false, false]])
    pulses[0]!.become("finished")
    pass(LIMIT)
    assert.deepStrictEqual([verdicts(), over()], [[undefined, undefined, undefined], [true, true, true]])
  })

  it.each([[0], [1], [2]])("tells all others of rank %i when it says nothing", (lost) => {
    const { pass, pulses, verdicts } = job(3)
    pass(LIMIT)
    const others = [0, 1, 2].filter((rank) => rank !== lost)
    pass(LIMIT - 4 * STEP, others)
    assert.deepStrictEqual(verdicts(), [undefined, undefined, undefined])
    pass(8 * STEP, others)
    for (const rank of others) assert.deepStrictEqual(pulses[rank]!.verdict(), { state: "lost", rank: lost, code: 0 })
  })

  it.each([[0], [2]])("tells all others of rank %i when it fails, and lets it end", (failing) => {
    const { over, pass, pulses, verdicts } = job(3)
    pass(LIMIT)
    pulses[failing]!.become("failed", 66)
    pass(10 * STEP)
    const told = { state: "failed", rank: failing, code: 66 } as const
    assert.deepStrictEqual(verdicts(), [0, 1, 2].map((rank) => rank === failing ? undefined : told))
    assert.isTrue(over()[failing])
  })

  it("asks rank 0 once to stop", () => {
    const { pass, pulses, stops, verdicts } = job(3)
    pulses[1]!.become("stopping")
    pulses[2]!.become("stopping")
    pass(LIMIT)
    assert.deepStrictEqual([stops, verdicts()], [[0], [undefined, undefined, undefined]])
  })

  it("takes nobody for lost after the whole machine slept", () => {
    const { pass, verdicts } = job(2)
    pass(LIMIT)
    pass(10 * LIMIT, [])
    pass(2 * LIMIT)
    assert.deepStrictEqual(verdicts(), [undefined, undefined])
  })
})
