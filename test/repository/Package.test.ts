import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { basename, delimiter, dirname, join } from "node:path"
import * as Version from "../../src/domain/values/Version.ts"
import * as NodeVersion from "../../src/NodeVersion.ts"
import { shortened } from "./checkout.ts"
import { root } from "./rules.ts"

interface Manifest {
  readonly version: string
  readonly bin: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
  readonly engines: { readonly node: string }
  readonly exports: Readonly<Record<string, unknown>>
  readonly files: ReadonlyArray<string>
}

const manifest: Manifest = JSON.parse(readFileSync(`${root}package.json`, "utf8"))
const quiet = ["--disable-warning=ExperimentalWarning"]
const pictures = ["noto", "noto-v1", "twemoji", "emojione", "fluent-emoji-flat"].map((name) => `@iconify-json/${name}`)
const folder = mkdtempSync(join(tmpdir(), "patchword-package-"))
const [staged, consumer] = ["staged", "consumer"].map((name) => join(folder, name)) as [string, string]
const OLDER = "typescript-5.9"
const compilers = [
  ["7", join(root, "node_modules/typescript"), "nodenext", "nodenext", "false", ["--singleThreaded"]],
  ["7", join(root, "node_modules/typescript"), "esnext", "bundler", "true", ["--singleThreaded"]],
  ["5.9", join(consumer, "node_modules", OLDER), "node16", "node16", "false", []]
] as const

const run = (cwd: string, command: string, ...args: ReadonlyArray<string>): string => {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" })
  assert.strictEqual(status, 0, `${command} ${args.join(" ")}\n${stdout}\n${stderr}`)
  return stdout
}

const consumerSource = `
import { Effect } from "effect"
import { Engine } from "patchword/layers"
import { Vit } from "patchword/nn"
import { Dim, Linear, Tensor } from "patchword/shapes"

export * as all from "patchword"
const base = Vit.dims({ image: 224, patch: 16, width: 768, heads: 12 })
export const tokens: 197 = base.tokens
export const layer = Engine.layerOnnx()
export const program: Effect.Effect<Dim.Dim<"batch">> = Effect.sync(() => Dim.named("batch", 2))
export const y: Tensor.Tensor<[2, 4]> = Linear.project(Tensor.zeros([2, 3]), Tensor.zeros([4, 3]))
// @ts-expect-error
Linear.project(Tensor.zeros([2, 3]), Tensor.zeros([4, 5]))
`

const importing = (names: ReadonlyArray<string>) => `
import { registerHooks } from "node:module"

const imported = new Map()
const placeOf = (url) => {
  const [, name] = /.*node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url) ?? []
  return name === undefined || name === "patchword" ? url : name
}
registerHooks({
  resolve: (specifier, context, next) => {
    const found = next(specifier, context)
    const from = placeOf(context.parentURL ?? "")
    imported.set(from, (imported.get(from) ?? new Set()).add(placeOf(found.url)))
    return found
  }
})
const reached = (place, seen) => {
  if (seen.has(place)) return seen
  seen.add(place)
  for (const next of imported.get(place) ?? []) reached(next, seen)
  return seen
}
const found = {}
for (const name of ${JSON.stringify(names)}) {
  const members = Object.keys(await import(name)).length
  const loaded = [...reached(import.meta.resolve(name), new Set())].filter((place) => !place.startsWith("file:"))
  found[name] = { members, loaded }
}
console.log(JSON.stringify(found))
process.exit(0)
`

const refusing = (names: ReadonlyArray<string>) => `
const said = {}
for (const name of ${JSON.stringify(names)}) said[name] = await import(name).then(() => "nothing", String)
console.log(JSON.stringify(said))
`

const engineSource = `
import { Effect } from "effect"
import { Engine } from "patchword/layers"
import { Elementwise, HostTensor } from "patchword/shapes"

const row = { x: { shape: [2], dtype: "float32" } }
const double = { name: "double", weights: row, batch: row, run: (w, b) => ({ y: Elementwise.add(w.x, b.x) }) }
const x = HostTensor.make([2], "float32", Float32Array.of(1, 2))
const program = Effect.scoped(Effect.gen(function*() {
  const handle = yield* (yield* Engine.Engine).infer(double, { x })
  return yield* handle.run({ x })
}))
const { y } = await Effect.runPromise(program.pipe(Effect.provide(Engine.layerOnnx())))
console.log(y.data.join())
`

const publicFiles = (dist: string): ReadonlyMap<string, (name: string) => boolean> => {
  const found = new Map<string, (name: string) => boolean>()
  const visit = (file: string, isPublic: (name: string) => boolean) => {
    const before = found.get(file)
    found.set(file, (name) => isPublic(name) || before?.(name) === true)
    for (const [, what, from] of readFileSync(file, "utf8").matchAll(/^export (?:type )?(.*?) from "(\..*?)"/gms)) {
      const names = what!.match(/\w+/g)
      const target = join(dirname(file), from!.replace(/\.[jt]s$/, ".d.ts"))
      visit(target, (name) => what!.startsWith("*") || names?.includes(name) === true)
    }
  }
  for (const room of ["", ...readdirSync(dist)]) {
    const index = join(dist, room, "index.d.ts")
    if (existsSync(index)) visit(index, () => true)
  }
  return found
}

const oldNode = (): string | undefined =>
  (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, "node")).find((file) => {
    const found = spawnSync(file, ["--version"], { encoding: "utf8" }).stdout
    return found?.startsWith("v") && NodeVersion.refusal(found.slice(1).trim()) !== undefined
  })

const entries = Object.keys(manifest.exports).filter((name) => name !== "./package.json")
const specifier = (entry: string): string => `patchword${entry.slice(1)}`

describe("the package", () => {
  beforeAll(() => {
    mkdirSync(staged)
    mkdirSync(consumer)
    run(root, process.execPath, ...quiet, "scripts/build.ts", join(staged, "dist"))
    for (const file of ["package.json", ...manifest.files].filter((name) => name !== "dist")) {
      cpSync(join(root, file), join(staged, file), { recursive: true })
    }
    const [packed] = JSON.parse(run(staged, "npm", "pack", "--json", "--pack-destination", folder))
    writeFileSync(join(consumer, "package.json"), JSON.stringify({ name: "consumer", type: "module", private: true }))
    const quick = ["--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]
    run(consumer, "npm", "install", ...quick, join(folder, packed.filename), `${OLDER}@npm:typescript@5.9.3`)
  }, 180_000)

  afterAll(() => rmSync(folder, { recursive: true }))

  it("locks ONNX Runtime without its install script", () => {
    const { packages } = JSON.parse(readFileSync(`${root}package-lock.json`, "utf8"))
    const locked = packages["node_modules/onnxruntime-node"]
    assert.strictEqual(locked.version, manifest.optionalDependencies["onnxruntime-node"])
    assert.notProperty(locked, "hasInstallScript")
  })

  it("has the version that the library states", () => assert.strictEqual(manifest.version, Version.version))

  it("holds every file that it promises", () => {
    const installed = join(consumer, "node_modules/patchword")
    const promised = [...manifest.files, ...Object.values(manifest.bin)]
    assert.deepStrictEqual(promised.filter((file) => !existsSync(join(installed, file))), [])
  })

  it("declares every parameter under its own name", () => {
    const declarations = readdirSync(join(staged, "dist"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".d.ts"))
    const nameless = declarations.flatMap((name) =>
      Array.from(
        readFileSync(join(staged, "dist", name), "utf8").matchAll(/declare const (\w+):.*\bargs_\d+\??:/g),
        ([, program]) => `${name}: ${program}`
      )
    )
    assert.isAbove(declarations.length, 100)
    assert.deepStrictEqual(nameless, [])
  })

  it("declares no public function by a pattern instead of a name", () => {
    const nameless = Array.from(publicFiles(join(staged, "dist"))).flatMap(([file, isPublic]) =>
      readFileSync(file, "utf8").replaceAll(/\/\*.*?\*\//gs, "").split(/^(?=export )/m).flatMap((declaration) => {
        const name = /^export declare (?:const|function) (\w+)/.exec(declaration)?.[1]
        const destructured = /[(,]\s*(?:\{[^{}()]*\}|\[[^[\]()]*\])\??: /.test(declaration)
        return name !== undefined && isPublic(name) && destructured ? [`${basename(file)}: ${name}`] : []
      })
    )
    assert.deepStrictEqual(nameless, [])
  })

  const tensors = ["@tensorflow/tfjs-backend-cpu", "@tensorflow/tfjs-core"]
  const nn = [...tensors, "pure-rand"]
  const services = ["@effect/platform-node", "effect", "ml-matrix", "protobufjs", ...nn]
  const needed: Readonly<Record<string, ReadonlyArray<string>>> = {
    ".": [...services, "aws4fetch"],
    "./shapes": tensors,
    "./domain": ["effect", "ml-matrix", "pure-rand"],
    "./nn": nn,
    "./compiler": [...tensors, "protobufjs"],
    "./layers": [...services, "aws4fetch"],
    "./pipelines": services,
    "./jobs": ["@effect/platform-node", "effect", "pure-rand"],
    "./studio": ["@effect/platform-node", "effect", ...nn],
    "./laws": services
  }
  const peers: Readonly<Record<string, string>> = { "./laws": "fast-check" }

  it("says how to install what its laws need", () => {
    const given = ["--input-type=module", "--eval", `import "patchword/laws"`]
    const { status, stderr } = spawnSync(process.execPath, given, { cwd: consumer, encoding: "utf8" })
    assert.match(stderr, /^Error: patchword\/laws needs fast-check: npm install --save-dev fast-check$/m)
    assert.strictEqual(status, 1)
  })

  describe("its entries", () => {
    let found: Readonly<Record<string, { readonly loaded: ReadonlyArray<string>; readonly members: number }>> = {}

    beforeAll(() => {
      for (const peer of Object.values(peers)) {
        cpSync(join(root, "node_modules", peer), join(consumer, "node_modules", peer), { recursive: true })
      }
      const source = importing(entries.map(specifier))
      found = JSON.parse(
        run(consumer, process.execPath, "--input-type=module", "--eval", source).trim().split("\n").at(-1)!
      )
    })

    it.each(entries)("import as %s, with what that needs alone", (name) => {
      const { loaded, members } = found[specifier(name)]!
      assert.isAbove(members, 0)
      const dependencies = loaded.filter((from) => Object.hasOwn(manifest.dependencies, from))
      assert.sameMembers(dependencies, [...needed[name]!])
      assert.deepStrictEqual(loaded.filter((from) => from === "undici" || from === "node:http"), [])
    })
  })

  it("runs a step on its default engine", () => {
    writeFileSync(join(consumer, "engine.mjs"), engineSource)
    assert.strictEqual(run(consumer, process.execPath, "engine.mjs").trim(), "2,4")
  })

  it("runs the example, which asks for its pictures", () => {
    cpSync(join(root, "examples/compose.ts"), join(consumer, "compose.ts"))
    const { stderr } = spawnSync(process.execPath, ["compose.ts"], { cwd: consumer, encoding: "utf8" })
    assert.include(stderr, "@iconify-json/noto")
  })

  it("has a command that says its version", () => {
    const command = join(consumer, "node_modules/.bin/patchword")
    assert.include(run(consumer, process.execPath, command, "--version"), Version.version)
  })

  it.each(compilers)(
    "type-checks its declarations with TypeScript %s",
    (_, compiler, module, resolution, skipLibCheck, more) => {
      writeFileSync(join(consumer, "use.ts"), consumerSource)
      const kind = [
        "--module",
        module,
        "--moduleResolution",
        resolution,
        "--target",
        "es2024",
        "--skipDefaultLibCheck",
        "--skipLibCheck",
        skipLibCheck,
        ...more
      ]
      run(consumer, process.execPath, join(compiler, "bin/tsc"), "--strict", "--noEmit", ...kind, "use.ts")
    },
    120_000
  )

  it("needs the oldest Node that it names", () => {
    assert.strictEqual(manifest.engines.node, `>=${NodeVersion.OLDEST}.0`)
    assert.deepStrictEqual(["22.19.0", "23.1.0"].map(NodeVersion.refusal), [undefined, undefined])
    const said = (version: string) => `patchword needs Node 22.19 or later; this is ${version}`
    assert.deepStrictEqual(["20.20.2", "22.18.9"].map(NodeVersion.refusal), ["20.20.2", "22.18.9"].map(said))
  })

  const old = oldNode()

  describe.skipIf(old === undefined)("on an older Node", () => {
    const line = /^(?:Error: )?patchword needs Node 22\.19 or later; this is \d+\.\d+\.\d+$/

    it("says from each entry which one it needs", () => {
      const given = ["--input-type=module", "--eval", refusing(entries.map(specifier))]
      const said: Readonly<Record<string, string>> = JSON.parse(run(consumer, old!, ...given))
      assert.hasAllKeys(said, entries.map(specifier))
      for (const text of Object.values(said)) assert.match(text, line)
    })

    it("says so in one line from its command", () => {
      const command = join(consumer, "node_modules/.bin/patchword")
      const { status, stderr } = spawnSync(old!, [command, "--version"], { cwd: consumer, encoding: "utf8" })
      assert.match(stderr.trimEnd(), line)
      assert.strictEqual(stderr.trimEnd().split("\n").length, 1)
      assert.strictEqual(status, 69)
    })
  })

  it("holds what it says and nothing else", () => {
    const installed = readdirSync(join(consumer, "node_modules/patchword"))
    assert.sameMembers(installed, [...manifest.files, "package.json"])
    const built = readdirSync(join(staged, "dist"), { recursive: true, encoding: "utf8" })
    assert.deepStrictEqual(built.filter((name) => !/(?:^|\/)[\w-]+(?:\.d\.ts|\.js)?$/.test(name)), [])
  })

  it("installs neither Node nor pictures", () => {
    const modules = readdirSync(join(consumer, "node_modules"))
    const unwanted = /^(?:node|@iconify-json|@lobehub|@sparticuz|playwright-core|typescript|vitest)$/
    assert.include(modules, "patchword")
    assert.deepStrictEqual(modules.filter((name) => unwanted.test(name)), [])
  })

  it("takes less than 500 MB", () => {
    const files = readdirSync(join(consumer, "node_modules"), { recursive: true, withFileTypes: true })
      .filter(({ parentPath }) => !parentPath.includes(OLDER))
    const bytes = files.reduce(
      (sum, file) => (file.isFile() ? sum + statSync(join(file.parentPath, file.name)).size : sum),
      0
    )
    assert.isBelow(bytes, 500e6)
  })

  it("runs the example where its pictures are installed", () => {
    mkdirSync(join(consumer, "node_modules/@iconify-json"))
    for (const name of pictures) symlinkSync(join(root, "node_modules", name), join(consumer, "node_modules", name))
    const source = readFileSync(join(root, "examples/compose.ts"), "utf8")
    const shorter = shortened(source, 4).replace("\"train\"", "\"flat-new\"").replace("\"in-new\"", "\"flat-new\"")
      .replace("(preset.tokenizer)", "(preset.tokenizer, { split: \"flat-new\" })")
      .replace("(preset.pretrain, tokenizer)", "(preset.pretrain, tokenizer, { split: \"flat-new\" })")
    assert.notMatch(shorter, /load\("train"\)|"in-new"/)
    assert.lengthOf(shorter.match(/split: "flat-new"/g) ?? [], 2)
    writeFileSync(join(consumer, "compose.ts"), shorter)
    assert.match(run(consumer, process.execPath, "compose.ts"), /^top-1 accuracy: \d+\.\d %$/m)
  }, 120_000)
})
