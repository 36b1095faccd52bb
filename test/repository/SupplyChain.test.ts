import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { root } from "./rules.ts"

interface Locked {
  readonly version: string
  readonly license?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly dev?: boolean
  readonly link?: boolean
}

const lock: { readonly packages: Readonly<Record<string, Locked>> } = JSON.parse(
  readFileSync(`${root}package-lock.json`, "utf8")
)

const locked = Object.entries(lock.packages).filter(([place]) => place !== "")

const nameOf = (place: string): string => place.slice(place.lastIndexOf("node_modules/") + "node_modules/".length)

const installed = locked.filter(([, { dev }]) => dev !== true)

const ALLOWED = new Set(["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT"])

const EXCEPTIONS: ReadonlyArray<readonly [name: RegExp, licence: string, reason: string]> = [
  [/^@img\/sharp-libvips-/, "LGPL-3.0-or-later", "a shared library that sharp loads, and that users can replace"],
  [/^@img\/sharp-win32-/, "LGPL-3.0-or-later", "sharp with the same shared library beside it"],
  [/^@img\/sharp-wasm32$/, "LGPL-3.0-or-later", "the same library as a module of its own"]
]

const allows = (name: string, expression: string): boolean =>
  expression.replaceAll(/[()]/g, "").split(" AND ").every((part) =>
    part.split(" OR ").some((licence) =>
      ALLOWED.has(licence) || EXCEPTIONS.some(([which, what]) => which.test(name) && what === licence)
    )
  )

describe("the dependencies", () => {
  it("have licences that allow their use, also those of dependencies", () => {
    assert.isAbove(installed.length, 100)
    const refused = installed.flatMap(([place, { license = "none" }]) =>
      allows(nameOf(place), license) ? [] : [`${nameOf(place)}: ${license}`]
    )
    assert.deepStrictEqual(refused, [])
    assert.isFalse(allows("somebody", "GPL-3.0-only"))
    assert.isFalse(allows("somebody", "MIT AND LGPL-3.0-or-later"))
    assert.isTrue(allows("somebody", "(GPL-3.0-only OR MIT)"))
    for (const [which] of EXCEPTIONS) assert.isTrue(installed.some(([place]) => which.test(nameOf(place))), `${which}`)
  })

  it("come from the registry of npm alone, each with its digest", () => {
    for (const [place, { integrity, link, resolved }] of locked) {
      assert.notStrictEqual(link, true, place)
      assert.match(resolved ?? "https://registry.npmjs.org/", /^https:\/\/registry\.npmjs\.org\//, place)
      assert.match(integrity ?? "", /^sha512-/, place)
    }
  })

  it("are all in the list of parts, with their licences", () => {
    const args = ["--disable-warning=ExperimentalWarning", "scripts/sbom.ts"]
    const { status, stderr, stdout } = spawnSync(process.execPath, args, {
      cwd: root,
      encoding: "utf8",
      maxBuffer: 2 ** 26
    })
    assert.strictEqual(status, 0, stderr)
    const { bomFormat, components, metadata }: {
      readonly bomFormat: string
      readonly metadata: { readonly component: { readonly name: string } }
      readonly components: ReadonlyArray<
        { readonly name: string; readonly version: string; readonly licenses?: unknown }
      >
    } = JSON.parse(stdout)
    assert.deepStrictEqual([bomFormat, metadata.component.name], ["CycloneDX", "patchword"])
    assert.strictEqual(components.length, installed.length)
    const listed = new Set(components.map(({ name, version }) => `${name} ${version}`))
    for (const name of ["effect", "sharp", "yaml", "onnxruntime-node"]) {
      assert.isTrue(listed.has(`${name} ${lock.packages[`node_modules/${name}`]?.version}`), name)
    }
    assert.isFalse(components.some(({ name }) => name === "vitest"))
    assert.isEmpty(components.filter(({ licenses }) => licenses === undefined).map(({ name }) => name))
  })
})
