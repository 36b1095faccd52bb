import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Examine from "./Examine.ts"
import { readers } from "./readers.ts"

const SEED = 2026

describe("readers of bytes from outside", () => {
  const place = Examine.place()
  let deaf = () => {}
  beforeAll(() => {
    deaf = Examine.listen()
  })
  afterAll(() => {
    deaf()
    Examine.leave(place)
  })

  it.each(readers.map((reader) => [reader.name, reader] as const))(
    "end in a value or a typed error, and touch nothing outside: %s",
    async (_, reader) => {
      const kinds = new Set<string>()
      for (let index = 0; index < reader.tests; index++) {
        const ended = await Examine.examine(reader, place, await Examine.inputOf(reader, SEED, index))
        assert.notStrictEqual(ended.kind, "fault", `${reader.name} --seed ${SEED} --from ${index}: ${ended.what}`)
        kinds.add(ended.kind)
      }
      assert.isTrue(kinds.has("value"))
    },
    600_000
  )
})
