import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import {
  absolutePaths,
  arrows,
  bothWays,
  casts,
  circles,
  crowded,
  drawing,
  emptyNames,
  type File,
  filesUnder,
  hatches,
  heavyThreads,
  hiddenInputs,
  lowerCase,
  nounClauses,
  root,
  spans,
  typeParameters,
  unboundedJson
} from "./rules.ts"

const all = filesUnder("src")
const sources = all.filter(({ path }) => path.endsWith(".ts"))
const fixture = (path: string, text: string): File => ({ path, text })

const count = (found: ReadonlyArray<string>): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const line of found) counts[line] = (counts[line] ?? 0) + 1
  return counts
}

describe("rooms", () => {
  it("know only the rooms above them and their own packages", () => {
    assert.isAbove(sources.length, 100)
    assert.deepStrictEqual(sources.flatMap(arrows), [])
  })

  it.each([
    ["src/shapes/X.ts", "import * as KeyedRandom from \"../domain/KeyedRandom.ts\"", "shapes does not know domain"],
    ["src/domain/X.ts", "import type { Tensor } from \"../shapes/Tensor.ts\"", "domain does not know shapes"],
    ["src/nn/X.ts", "import { trace } from \"../compiler/Trace.ts\"", "nn does not know compiler"],
    ["src/nn/X.ts", "import { Effect } from \"effect\"", "nn does not use effect"],
    ["src/compiler/kernels/X.ts", "export { x } from \"../../nn/Vit.ts\"", "compiler does not know nn"],
    ["src/layers/X.ts", "const knn = import(\"../pipelines/Knn.ts\")", "layers does not know pipelines"],
    ["src/pipelines/report/X.ts", "import \"../../cli/bin.ts\"", "pipelines does not know cli"],
    ["src/laws/X.ts", "import { patchword } from \"../cli/patchword.ts\"", "laws does not know cli"],
    ["src/laws/X.ts", "import { it } from \"vitest\"", "laws does not use vitest"],
    ["src/pipelines/X.ts", "import { mask } from \"../laws/Mask.ts\"", "pipelines does not know laws"],
    ["src/domain/X.ts", "import { readFileSync } from \"node:fs\"", "domain does not use node:fs"],
    ["src/pipelines/X.ts", "import * as tf from \"@tensorflow/tfjs\"", "pipelines does not use @tensorflow/tfjs"],
    ["src/util/X.ts", "", "no room has this file"]
  ])(
    "refuse: %s with %s",
    (path, text, said) => assert.deepStrictEqual(arrows(fixture(path, text)), [`${path}: ${said}`])
  )

  it("ignore comments and documentation", () => {
    const text = "/**\n * import { Engine } from \"patchword/layers\"\n */\n// import \"../cli/bin.ts\"\n"
    assert.deepStrictEqual(arrows(fixture("src/domain/X.ts", text)), [])
  })
})

describe("files", () => {
  const files = (imports: Readonly<Record<string, string>>) =>
    Object.entries(imports).map(([path, specifier]) => fixture(path, `import type { X } from "${specifier}"`))

  it("do not import each other in a circle", () => assert.deepStrictEqual(circles(sources), []))

  it.each([
    [
      "two files",
      { "src/nn/A.ts": "./b/B.ts", "src/nn/b/B.ts": "../A.ts" },
      "src/nn/A.ts -> src/nn/b/B.ts -> src/nn/A.ts"
    ],
    ["a file itself", { "src/nn/A.ts": "./A.ts" }, "src/nn/A.ts -> src/nn/A.ts"]
  ])("are seen in a circle: %s", (_, imports, circle) => assert.deepStrictEqual(circles(files(imports)), [circle]))

  it("of threads load the parts of Effect that they use, save the thread of XLA", () => {
    const threads = heavyThreads(sources.filter(({ path }) => !path.endsWith("XlaWorker.ts")))
    assert.deepStrictEqual(threads, [])
    const inner = fixture("src/layers/A.ts", "import { Result } from \"effect\"")
    const type = fixture("src/layers/B.ts", "import type { Effect } from \"effect\"")
    const worker = fixture("src/layers/XWorker.ts", "import \"./A.ts\"\nimport \"./B.ts\"")
    assert.deepStrictEqual(heavyThreads([inner, type, worker]), ["src/layers/XWorker.ts: src/layers/A.ts"])
  })

  it("are seen in a circle by what they load later", () => {
    const [a, b] = files({ "src/nn/A.ts": "./B.ts", "src/nn/B.ts": "node:fs" })
    const later = fixture(b!.path, "const load = () => import(\n  \"./A.ts\"\n)")
    assert.deepStrictEqual(circles([a!, later]), ["src/nn/A.ts -> src/nn/B.ts -> src/nn/A.ts"])
  })

  it("may meet again without a circle", () => {
    const met = [
      fixture("A.ts", "import \"./B.ts\"\nimport \"./C.ts\""),
      ...files({ "B.ts": "./C.ts" }),
      fixture("C.ts", "")
    ]
    assert.deepStrictEqual(circles(met), [])
  })

  it("are not lists of type parameters", () => {
    assert.isBelow(sources.flatMap(typeParameters).length, 60)
    const text = "const f = <\n  Y extends Dim,\n  const X extends Dim\n>(x: X, y: Y) =>"
    assert.deepStrictEqual(count(typeParameters(fixture("x", text))), { "x: type parameters": 2 })
  })
})

describe("folders", () => {
  it("do not import from each other", () => {
    assert.deepStrictEqual(bothWays(sources), [])
    const [a, b] = [fixture("src/nn/A.ts", "import \"./b/B.ts\""), fixture("src/nn/b/B.ts", "import \"../C.ts\"")]
    assert.deepStrictEqual(bothWays([a, b]), ["src/nn <-> src/nn/b"])
    assert.deepStrictEqual(bothWays([{ ...a, path: "src/nn/index.ts" }, b]), [])
  })

  it("import from their room as CONTRIBUTING draws it", () => {
    const drawn = /^```\n(shapes\/gradients\n[^`]*)\n```$/m.exec(readFileSync(`${root}CONTRIBUTING.md`, "utf8"))?.[1]
    assert.strictEqual(drawn, drawing(sources))
  })

  it("are drawn below what they import from, room by room", () => {
    const files = [
      fixture("src/index.ts", "export * from \"./nn/index.ts\""),
      fixture("src/nn/index.ts", "export * as A from \"./a/A.ts\""),
      fixture("src/nn/a/A.ts", "import \"../c/C.ts\"\nconst later = import(\"../b/d/D.ts\")"),
      fixture("src/nn/b/d/D.ts", "import type { C } from \"../../c/C.ts\""),
      fixture("src/nn/c/C.ts", "import \"../../shapes/S.ts\""),
      fixture("src/shapes/S.ts", ""),
      fixture("src/shapes/t/T.ts", "import \"../S.ts\"")
    ]
    const lines = [
      "shapes",
      `shapes/t${" ".repeat(14)}──▶ shapes`,
      "",
      "nn/c",
      `nn/b/d${" ".repeat(16)}──▶ c`,
      `nn/a${" ".repeat(18)}──▶ b/d, c`
    ]
    assert.strictEqual(drawing(files), lines.join("\n"))
  })

  it("hold 25 files at most", () => {
    assert.deepStrictEqual(crowded(all), [])
    const files = (length: number) => Array.from({ length }, (_, index) => fixture(`src/nn/${index}.wat`, ""))
    assert.deepStrictEqual(crowded([...files(26), fixture("src/nn/b/B.ts", "")]), ["src/nn: 26 files"])
    assert.deepStrictEqual(crowded(files(25)), [])
  })

  it("and files are named after what they hold", () => {
    assert.deepStrictEqual(all.flatMap(emptyNames), [])
  })

  it.each([
    ["src/nn/internal/X.ts", "internal"],
    ["src/nn/utils.ts", "utils.ts"],
    ["src/nn/Helpers/X.ts", "Helpers"],
    ["src/nn/common.test.ts", "common.test.ts"]
  ])("are seen where they are not: %s", (path, name) => {
    assert.deepStrictEqual(emptyNames(fixture(path, "")), [`${path}: ${name}`])
  })
})

describe("names of files", () => {
  it("begin with a capital, but where a user says them", () => {
    assert.deepStrictEqual(all.flatMap(lowerCase), [])
    const files = ["src/nn/vit.ts", "src/cli/flags/all.ts", "src/nn/a/index.ts"]
    assert.deepStrictEqual(
      files.flatMap((path) => lowerCase(fixture(path, ""))),
      files.map((path) => `${path}: lower case`)
    )
  })
})

describe("hidden inputs", () => {
  it("are read by the command line alone", () => {
    const found = sources.filter(({ path }) => !path.startsWith("src/cli/")).flatMap(hiddenInputs)
    assert.deepStrictEqual(found, ["src/compiler/trace/BackendScope.ts: try"])
  })

  it.each([
    ["Date.now", "const t = Date.now()"],
    ["Math.random", "const x = Math.random()"],
    ["console", "console.log(1)"],
    ["process.env", "const home = process.env.HOME"],
    ["new Date", "const d = new Date()"],
    ["performance.now", "performance.now()"],
    ["timer", "setTimeout(f, 1)"],
    ["try", "try { f() } catch {}"]
  ])("are seen: %s", (name, text) => assert.deepStrictEqual(hiddenInputs(fixture("x", text)), [`x: ${name}`]))
})

describe("spans", () => {
  it("say by their names that they are of patchword", () => {
    assert.deepStrictEqual(sources.flatMap(spans), [])
    assert.deepStrictEqual(
      ["Effect.fn(\"patchword.train\")", "Effect.fn(\n  \"train\"\n)", "Effect.withSpan(\"train\")"].flatMap((text) =>
        spans(fixture("x", text))
      ),
      ["x: a span without the prefix", "x: a span without the prefix"]
    )
  })
})

describe("JSON from outside", () => {
  it("is read in one way, which bounds its depth", () => {
    assert.deepStrictEqual(sources.flatMap(unboundedJson), [])
    assert.deepStrictEqual(unboundedJson(fixture("x", "Schema.fromJsonString(Row)")), ["x: fromJsonString"])
  })
})

describe("the escape hatch", () => {
  it("is used where steps meet engines, and nowhere else", () => {
    const found = sources.filter(({ path }) => !path.startsWith("src/shapes/")).flatMap(hatches)
    assert.deepStrictEqual(count(found), {
      "src/compiler/trace/Trace.ts: untyped": 1,
      "src/layers/engine/Reference.ts: untyped": 3,
      "src/laws/Eager.ts: untyped": 1,
      "src/laws/Engine.ts: unsafeTyped": 1,
      "src/laws/Engine.ts: untyped": 2,
      "src/laws/EngineScript.ts: unsafeTyped": 2,
      "src/laws/EngineScript.ts: untyped": 4,
      "src/laws/EngineSteps.ts: unsafeTyped": 2,
      "src/laws/EngineSteps.ts: untyped": 3
    })
  })

  it("is seen", () => {
    const text =
      "import { unsafeTyped, untyped } from \"../shapes/Tensor.ts\"\nunsafeTyped<[2]>(untyped(x))\nxs.map(untyped)"
    assert.deepStrictEqual(count(hatches(fixture("x", text))), { "x: unsafeTyped": 1, "x: untyped": 2 })
  })
})

describe("casts past the compiler", () => {
  it("are the two that make the escape hatch", () => {
    assert.deepStrictEqual(count(sources.flatMap(casts)), { "src/shapes/Tensor.ts: as unknown as": 2 })
  })

  it("are seen", () => {
    const text = "x as any; x as never; x as unknown as Y"
    assert.deepStrictEqual(casts(fixture("x", text)), ["x: as any", "x: as never", "x: as unknown as"])
  })
})

describe("docstrings", () => {
  it("begin with what they are about", () => {
    assert.isBelow(sources.flatMap(nounClauses).length, 60)
  })

  it("are seen to begin with a noun clause", () => {
    const text =
      "/** Where steps run. */\n/**\n * How many. What more.\n */\n/** Runs what is given. */\n/** Whatever. */"
    assert.deepStrictEqual(count(nounClauses(fixture("x", text))), { "x: noun clause": 2 })
  })
})

describe("paths", () => {
  it("are relative", () => {
    const top = readdirSync(root).filter((name) => /\.(?:md|json|ts)$/.test(name) && name !== "package-lock.json")
    const files = [
      ...["src", "examples", "benchmarks", "scripts", "assets", ".ci"].flatMap(filesUnder),
      ...filesUnder("test").filter(({ path }) => path.endsWith(".ts")),
      ...top.map((path) => fixture(path, readFileSync(`${root}${path}`, "utf8")))
    ]
    assert.deepStrictEqual(files.flatMap(absolutePaths), [])
  })

  it("are seen when they are not", () => {
    const text = ["", "home", "someone", "x"].join("/")
    assert.deepStrictEqual(absolutePaths(fixture("x", `read("${text}")`)), ["x: absolute path"])
  })
})
