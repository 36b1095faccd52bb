import { assert, it, onTestFinished } from "@effect/vitest"
import fc from "fast-check"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

const size = fc.oneof(fc.nat({ max: 30 }), fc.nat({ max: 9999 }), fc.constantFrom(0, 1, 9, 10, 99, 100, 999, 1000))

const difference = (a: number, b: number) => (a < b ? "never" : a - b)

const quotient = (a: number, b: number) => (a % b === 0 ? a / b : "never")

it("the compiler computes with sizes as JavaScript does", () => {
  const pairs = fc.sample(fc.tuple(size, size.filter((b) => b > 0)), { numRuns: 150, seed: 7 })
  const expected = pairs.flatMap(([a, b]) => [
    [`Add<${a}, ${b}>`, a + b],
    [`Multiply<${a}, ${b}>`, a * b],
    [`Subtract<${a}, ${b}>`, difference(a, b)],
    [`Divide<${a}, ${b}>`, quotient(a, b)],
    [`Divide<${a * b}, ${b}>`, a],
    [`Quotient<${a}, ${b}>`, Math.floor(a / b)]
  ])
  const folder = mkdtempSync(join(tmpdir(), "patchword-arithmetic-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const lines = expected.map(([computed, result], i) =>
    `export const x${i}: Same<${computed}, ${result}> = "${computed} is ${result}"`
  )
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }))
  writeFileSync(
    join(folder, "sizes.ts"),
    [
      `import type { Add, Divide, Multiply, Quotient, Subtract } from "${root}src/shapes/Natural.ts"`,
      "type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? string : A) : A",
      ...lines
    ].join("\n")
  )
  const flags = [
    "--ignoreConfig",
    "--singleThreaded",
    "--strict",
    "--noEmit",
    "--allowImportingTsExtensions",
    "--module",
    "nodenext",
    "--pretty",
    "false"
  ]
  const { stdout } = spawnSync(
    process.execPath,
    [join(root, "node_modules/typescript/bin/tsc"), ...flags, "--types", "", join(folder, "sizes.ts")],
    { encoding: "utf8" }
  )
  assert.strictEqual(stdout, "")
})
