import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Presence from "../../src/jobs/Presence.ts"

describe("a watch over workers", () => {
  it("tells once of each that is missed for four rounds, also if it was never there before", () => {
    const rounds = fc.array(fc.constantFrom(true, false, undefined), { maxLength: 20 })
    fc.assert(fc.property(fc.array(rounds, { maxLength: 4 }), (workers) => {
      const gone = Presence.watching()
      const length = Math.max(0, ...workers.map((one) => one.length))
      for (let round = 0; round < length; round++) {
        const rows = workers.flatMap((one, index) => {
          const present = one[round]
          return present === undefined ? [] : [[`worker ${index}`, present] as const]
        })
        const expected = workers.flatMap((one, index) => {
          const since = ["start", ...Array.from({ length: round + 1 }, (_, at) => one[at])].map(String).join(" ")
          return /(?:start|true|undefined)(?: false){4}$/.test(since) ? [`worker ${index}`] : []
        })
        assert.deepStrictEqual(gone(rows), expected)
      }
    }))
  })
})
