import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Classic from "./Classic.ts"
import * as Limit from "./Limit.ts"
import * as Mutant from "./Mutant.ts"
import * as Source from "./Source.ts"

const source = `
import { scale, Schema } from "x"
const limit: 3 = 3
export const mean = (values: ReadonlyArray<number>, at = \`row \${1 + 1}\`): number => {
  if (values.length < 1) throw new RangeError("mean: expected values, got " + 0)
  const total = values.reduce((a, b) => a + b, 0)
  return scale(total, 1 / values.length)
}
const Count = Schema.Number.check(Schema.isGreaterThan(0))
`

const all = Mutant.of("x.ts", source)

describe("mutants", () => {
  it("change numbers, operators and calls", () => {
    const changes = all.map(({ after, before }) => `${before} → ${after}`)
    assert.deepStrictEqual(changes.toSorted(), [
      "+ → -",
      "/ → *",
      "0 → 1",
      "1 → 0",
      "1 → 2",
      "3 → 0",
      "3 → 2",
      "3 → 4",
      "3 → 6",
      "scale(total, 1 / values.length) → (total)"
    ])
  })

  it("leave calls alone that have no twin", () => {
    assert.deepStrictEqual(Mutant.of("x.ts", "const text = (x) => tf.slice(x.toString())"), [])
  })

  it("put a twin only where there is one", () => {
    const twinsOf = (text: string) =>
      Mutant.of("x.ts", text).map(({ after }) => after).filter((after) => after === "sub")
    assert.deepStrictEqual(twinsOf(`import { add } from "x"\nadd(y, z)`), [])
    assert.deepStrictEqual(twinsOf("new Set().add(y)"), [])
    for (
      const text of [
        `import { add, sub } from "x"\nadd(y, z)`,
        `import { minus as sub } from "x"\nadd(y, z)`,
        "export const sub = (y, z) => y\nadd(y, z)",
        `import * as tf from "x"\ntf.add(y, z)`
      ]
    ) assert.deepStrictEqual(twinsOf(text), ["sub"])
  })

  it("leave texts, types, schemas and refusals alone", () => {
    for (const line of [4, 5, 9]) assert.isFalse(all.some((mutant) => mutant.line === line))
  })

  it("change the text at their place", () => {
    const mutant = all.find(({ before }) => before === "/")
    assert.include(Mutant.apply(mutant!, source), "scale(total, 1 * values.length)")
  })

  it("are drawn by the seed, one of each place", () => {
    const drawn = Mutant.draw(all, 5, 1)
    assert.deepStrictEqual(Mutant.draw(all, 5, 1), drawn)
    assert.notDeepEqual(Mutant.draw(all, 5, 2), drawn)
    assert.strictEqual(new Set(drawn.map(({ start }) => start)).size, 5)
    assert.strictEqual(Mutant.draw(all, 100, 1).length, new Set(all.map(({ end, start }) => `${start} ${end}`)).size)
  })

  it("are drawn again after other lines of the source have moved them", () => {
    const named = (text: string) =>
      Mutant.draw(Mutant.of("x.ts", text), 5, 1).map(({ after, before, code }) => [code, before, after])
    assert.deepStrictEqual(named(`const first = ""\n${source}`), named(source))
  })

  it("know their function, as the instrumented source tells it", () => {
    const reached = new Set<string>()
    Object.assign(globalThis, { __reached: reached })
    const text = Source.instrument(
      "globalThis.twice = (x) => [x].map((one) => 2 * one)[0]; const far = () => { return 1 }",
      "y.ts"
    )
    new Function(text)()
    assert.deepStrictEqual([...reached], ["y.ts#-1"])
    assert.strictEqual(Reflect.get(globalThis, "twice")(4), 8)
    assert.deepStrictEqual([...reached], ["y.ts#-1", "y.ts#0", "y.ts#1"])
    const mutant = Mutant.of("y.ts", "const far = (x) => [x].map((one) => one - 1)").find(({ before }) =>
      before === "-"
    )
    assert.strictEqual(mutant!.inside, 1)
    Reflect.deleteProperty(globalThis, "twice")
    Reflect.deleteProperty(globalThis, "__reached")
  })

  it("include the listed faults, whose places are there", () => {
    assert.isAbove(Classic.mutants().length, 30)
  })
})

describe("the process of a mutant", () => {
  const endless = ["sh", "-c", "while :; do :; done"]
  const waiting = ["sleep", "60"]
  it.each([
    ["loops for ever", endless, { processor: 0.02 }, "timeout"],
    ["waits for ever", waiting, { clock: 0.02 }, "timeout"],
    ["takes too much memory", waiting, { memory: 1 }, "memory"],
    ["is gone", ["true"], {}, "crash"]
  ])("is ended when it %s", async (_, [command, ...rest], limit, expected) => {
    const folder = mkdtempSync(join(tmpdir(), "patchword-"))
    const file = join(folder, "process")
    const child = spawn(command!, rest)
    const gone = once(child, "exit")
    writeFileSync(file, String(child.pid))
    const watch = Limit.watch(file, { processor: Infinity, memory: Infinity, clock: Infinity, ...limit }, 1)
    assert.strictEqual(await watch.end, expected)
    const [, signal] = await gone
    assert.strictEqual(signal, expected === "crash" ? null : "SIGKILL")
    rmSync(folder, { recursive: true })
  })
})
