import { assert, describe, it } from "@effect/vitest"
import * as Conditions from "../../benchmarks/conditions.ts"

const self = (own: number, faults: number) =>
  `7 (a (b) c) S 1 7 7 0 -1 4194304 900 50 ${faults} 1 ${own} 20 0 0 20 0 11 0 100 1 1`

const counters = (
  at: number,
  { faults = 0, others = 0, own = 0, stolen = 0, swapped = 0 }: Readonly<Record<string, number>>
) =>
  Conditions.parse(
    at,
    `cpu  ${100 + own} ${others} 20 5000 0 0 0 ${stolen} 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n`,
    self(own, faults),
    `nr_free_pages 7\npswpin ${swapped}\npswpout 3\n`
  )

const judged = (change: Readonly<Record<string, number>>, rounds = [100, 102, 101, 99]) =>
  Conditions.judge(counters(0, {}), counters(10, { own: 1000, ...change }), rounds, 2)

describe("the conditions of a benchmark", () => {
  it("raise no doubt on a quiet machine", () => {
    assert.deepStrictEqual(judged({ others: 40, stolen: 10, faults: 20 }), {
      others: 0.02,
      stolen: 0.005,
      majorFaults: 20,
      swappedPages: 0,
      spread: 0.03,
      doubts: []
    })
  })

  it.each([
    ["a busy core", { others: 1000 }, /^other programs took 50 % of the processors, more than 5 %$/],
    ["a busy host", { stolen: 200 }, /^the host gave 10 % of the processors to other machines, more than 2 %$/],
    ["short memory", { faults: 500 }, /^the program waited 500 times for pages from the disk/],
    ["swapping", { swapped: 12 }, /^the machine moved 12 pages/]
  ])("raise a doubt with %s", (_, change, doubt) => {
    const { doubts } = judged(change)
    assert.strictEqual(doubts.length, 1)
    assert.match(doubts[0]!, doubt)
    assert.match(Conditions.told({ doubts }), /^These figures are not to be trusted: .*\.\n$/)
  })

  it("raise a doubt when rounds differ, also where a system has no counters", () => {
    const { doubts } = Conditions.judge(undefined, undefined, [100, 100, 130, 101], 2)
    assert.deepStrictEqual(doubts, ["the rounds differ by 30 %, more than 10 %"])
  })
})
