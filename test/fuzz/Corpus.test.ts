import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Examine from "./Examine.ts"
import { readers } from "./readers.ts"

const corpus = fileURLToPath(new URL("corpus", import.meta.url))

const kept = readdirSync(corpus).flatMap((reader) =>
  readdirSync(join(corpus, reader)).map((name) => [`${reader}/${name}`, reader, join(corpus, reader, name)] as const)
)

describe("an input on which a reader once failed", () => {
  const place = Examine.place()
  let deaf = () => {}
  beforeAll(() => {
    deaf = Examine.listen()
  })
  afterAll(() => {
    deaf()
    Examine.leave(place)
  })

  it.each(kept)("ends in a value or a typed error: %s", async (_, name, folder) => {
    const reader = readers.find((one) => one.name === name)
    assert(reader !== undefined)
    const files = Object.fromEntries(
      readdirSync(folder).map((file) => [decodeURIComponent(file), readFileSync(join(folder, file))])
    )
    const ended = await Examine.examine(reader, place, files)
    assert.notStrictEqual(ended.kind, "fault", ended.what)
  })
})
