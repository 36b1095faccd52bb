import { createHash } from "node:crypto"
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, join, relative } from "node:path"
import { setTimeout } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import {
  BaseSequencer,
  createVitest,
  type Reporter,
  type TestCase,
  type TestSpecification,
  type Vitest
} from "vitest/node"
import { distances } from "./Imports.ts"
import * as Limit from "./Limit.ts"
import * as Mutant from "./Mutant.ts"
import type { Reached } from "./Reached.ts"
import { instrument } from "./Source.ts"

export const root = fileURLToPath(new URL("../..", import.meta.url))

/** The folders of sources that are mutated. */
export const ROOMS = ["domain", "nn", "shapes", "compiler"] as const

const OFFICIAL = "test/parity/golden.test.ts"

// Other tests compare the engines with each other, in less time.
const ON_ONE_ENGINE = /^official fixtures, (?:onnx|without an engine)/

const beside = [...ROOMS.map((room) => `test/${room}/`), "test/laws/", "test/properties/", OFFICIAL]

const kept = join(root, "node_modules/.cache/patchword/mutants")
const isSource = new RegExp(`/src/(?:${ROOMS.join("|")})/.*\\.ts$`)

const digest = (file: string): string => createHash("sha256").update(readFileSync(join(root, file))).digest("hex")

/** One test, or the part of a file of tests outside of its tests (without a name), and the functions that it reaches. */
export interface Measured extends Reached {
  /** The digest of the file when it was measured. */
  readonly digest: string
}

/** Runs files of tests in the order in which they are given. */
class AsGiven extends BaseSequencer {
  override sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    return Promise.resolve(files)
  }
}

/** Makes a long-living runner of tests. `change` gives the text of a source in place of its own. */
const runner = (
  change: (file: string, text: string) => string | undefined,
  env: Readonly<Record<string, string>>,
  reporter: Reporter,
  options: { readonly isolate: boolean; readonly bail: number; readonly maxWorkers: number }
): Promise<Vitest> =>
  createVitest("test", {
    root,
    watch: false,
    pool: "forks",
    fsModuleCache: false,
    reporters: [reporter],
    sequence: { sequencer: AsGiven },
    // A slow machine is no reason to fail: processor time is limited in place of it.
    testTimeout: 900_000,
    hookTimeout: 900_000,
    // Engines leave threads behind, for which the end of a process would wait.
    teardownTimeout: 500,
    setupFiles: [join(root, "test/mutation/worker.ts")],
    env,
    ...options
  }, {
    plugins: [{
      name: "mutants",
      enforce: "pre",
      transform: (text, id) => (isSource.test(id) ? change(id, text) : undefined)
    }]
  })

/** The files of tests beside the sources, and those of other rooms that have the name of a source. */
const files = (): ReadonlyArray<string> => {
  const sources = new Set(
    ROOMS.flatMap((room) => globSync(`src/${room}/**/*.ts`, { cwd: root })).map((file) => basename(file, ".ts"))
  )
  return globSync("test/**/*.test.ts", { cwd: root }).filter((file) =>
    beside.some((path) => file.startsWith(path)) ||
    (!file.startsWith("test/cli/") && sources.has(basename(file, ".test.ts")))
  ).toSorted()
}

/** Runs files of tests, and tells which functions each test reaches, and how long it takes, and which files fail. */
const run = async (wanted: ReadonlyArray<string>) => {
  const own = join(kept, `reached-${process.pid}`)
  const vitest = await runner(
    (id, text) => instrument(text, version(relative(root, id))),
    { PATCHWORD_REACHED: own },
    {},
    {
      isolate: false,
      bail: 0,
      maxWorkers: 1
    }
  )
  const { unhandledErrors, testModules } = await vitest.runTestSpecifications(
    wanted.map((file) =>
      vitest.getRootProject().createSpecification(
        join(root, file),
        file === OFFICIAL ? { testNamePattern: ON_ONE_ENGINE } : undefined
      )
    )
  )
  await vitest.close()
  const failed = new Set(
    testModules.filter((module) => !module.ok()).map(({ moduleId }) => relative(root, moduleId))
  )
  const lines = readFileSync(own, "utf8").trim().split("\n")
  rmSync(own)
  const reached = lines.map((line) => JSON.parse(line) as Reached).map((one) => ({
    ...one,
    file: relative(root, one.file)
  }))
  return { reached: reached.filter(({ file }) => !failed.has(file)), problems: [...failed, ...unhandledErrors] }
}

/** Measures which functions each test reaches, and how long it takes. What has not changed since is not measured again. */
export const measure = async (): Promise<ReadonlyArray<Measured>> => {
  const record = join(kept, "reached.json")
  mkdirSync(kept, { recursive: true })
  const digests = new Map(files().map((file) => [file, digest(file)]))
  const old = existsSync(record) ? JSON.parse(readFileSync(record, "utf8")) as ReadonlyArray<Measured> : []
  const valid = old.filter(({ digest, file }) => digests.get(file) === digest)
  const known = new Set(valid.map(({ file }) => file))
  const wanted = Array.from(digests.keys()).filter((file) => !known.has(file))
  if (wanted.length === 0) return valid
  const { problems, reached } = await run(wanted)
  const all = [...valid, ...reached.map((one) => ({ ...one, digest: digests.get(one.file)! }))]
  writeFileSync(record, JSON.stringify(all))
  if (problems.length > 0) throw new Error(`tests fail without a mutant: ${problems.join(", ")}`)
  return all
}

/** The end of a mutant, with the tests that failed. */
export interface Outcome {
  readonly kind: "killed" | Limit.End | "survived" | "unreached"
  readonly by: ReadonlyArray<Test>
  /** The number of tests that ran against it at most. */
  readonly tests: number
}

/** A test by its file and name. */
export interface Test {
  readonly file: string
  readonly name: string
}

/** One run of tests, and why it came to no end, if so. */
interface Attempt {
  readonly end: Limit.End | undefined
  readonly failed: ReadonlyArray<Test>
  /** The tests of the first file with tests that did not end. */
  readonly left: ReadonlyArray<Test>
  /** Whether each test ran and passed. */
  readonly isWhole: boolean
}

/** The longest time of the tests of one mutant, in milliseconds as measured. */
const MOST = 40_000
const FILES = 14

/**
 * What a mutant may use until its next test ends: the processor time of its start, and twice that of the longest test. A mutant may make a
 * loop endless, fill the memory, or wait for what never comes. Other work on the machine slows the clock only.
 */
const limit = (tests: ReadonlyArray<Measured>): Limit.Limit => {
  const processor = 20 + 2 * Math.max(...tests.map(({ milliseconds }) => milliseconds)) / 1000
  return { processor, memory: 8 * 1024 ** 3, clock: 5 * processor }
}

// Official numbers find more than comparisons of engines with each other.
const cost = ({ file, milliseconds }: Measured): number => file === OFFICIAL ? milliseconds / 10 : milliseconds

/** Names a source with its content. A function is `name#number`. */
const version = (file: string): string => `${file}@${digest(file).slice(0, 8)}`

/**
 * Chooses the tests that reach a mutant, those of files that import its source first, and of these the cheapest. Modules are loaded once
 * for all tests, so nobody sees which tests depend on what a module computes when it is loaded. For a mutant of that, the tests that reach
 * any function of the source come first, and then those of all files that depend on it, nearest ones first.
 */
export const chosen = (measured: ReadonlyArray<Measured>, mutant: Mutant.Mutant): ReadonlyArray<Measured> => {
  const { file, inside } = mutant
  const key = `${version(file)}#${inside}`
  const tests = measured.filter(({ name }) => name !== undefined)
  const reaching = (isReached: (key: string) => boolean) => tests.filter(({ reached }) => reached.some(isReached))
  const isKnown = inside !== -1 && measured.some(({ reached }) => reached.includes(`${version(file)}#-1`))
  const apart = measured.filter(({ name, reached }) => name === undefined && reached.includes(key))
  const direct = new Set(isKnown ? reaching((one) => one === key) : [])
  const isLoaded = !isKnown || apart.length > 0
  const near = new Set(isLoaded ? reaching((one) => one.startsWith(`${file}@`) && !one.endsWith("#-1")) : [])
  const distance = distances(file)
  const rank = (test: Measured): number => {
    const far = distance.get(test.file) ?? Infinity
    return direct.has(test) ? Math.min(far, 2) : far + (near.has(test) ? 2 : 3)
  }
  const found = isLoaded ? tests.filter((test) => rank(test) < Infinity) : Array.from(direct)
  let [spent, files] = [0, new Set<string>()]
  return found.toSorted((a, b) => rank(a) - rank(b) || cost(a) - cost(b)).filter((test, place) => {
    if (place > 0 && (spent + test.milliseconds > MOST || (files.size >= FILES && !files.has(test.file)))) return false
    spent += test.milliseconds
    files.add(test.file)
    return true
  })
}

// A full name has " > " between the names that it consists of.
const pattern = (tests: ReadonlyArray<Test>): RegExp =>
  new RegExp(
    `^(?:${
      tests.map(({ name }) => name.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&").replaceAll(" ", "(?: > | )")).join("|")
    })$`
  )

const testOf = ({ fullName, module }: TestCase): Test => ({
  file: relative(root, module.moduleId),
  name: fullName.replaceAll(" > ", " ")
})

const same = (a: Test, b: Test): boolean => a.file === b.file && (a.name === b.name || a.name === "")

/** Runs tests against mutants, one after the other, in one process. */
export const session = async (measured: ReadonlyArray<Measured>) => {
  const number = join(kept, `process-${process.pid}`)
  mkdirSync(kept, { recursive: true })
  let present: { readonly file: string; readonly text: string } | undefined
  let ended: (test: Test) => void = () => undefined
  const start = () =>
    runner(
      (id) => (id === present?.file ? present.text : undefined),
      { PATCHWORD_PROCESS: number },
      { onTestCaseResult: (test) => ended(testOf(test)) },
      { isolate: false, bail: 1, maxWorkers: 1 }
    )
  let vitest = await start()

  const close = async (): Promise<void> => {
    await Promise.race([vitest.close().catch(() => undefined), setTimeout(5000)])
    rmSync(number, { force: true })
  }

  const attempt = async (tests: ReadonlyArray<Test>, most: Limit.Limit): Promise<Attempt> => {
    const specifications = Array.from(
      Map.groupBy(tests, ({ file }) => file),
      ([file, some]) =>
        vitest.getRootProject().createSpecification(join(root, file), { testNamePattern: pattern(some) })
    )
    vitest.state.filesMap.clear()
    rmSync(number, { force: true })
    const watch = Limit.watch(number, most)
    const open = new Set(tests)
    ended = (test) => {
      watch.progress()
      for (const one of open) if (same(one, test)) open.delete(one)
    }
    const run = vitest.runTestSpecifications(specifications).catch(() => "crash" as const)
    const result = await Promise.race([run, watch.end])
    watch.stop()
    const { testModules = [], unhandledErrors = [] } = typeof result === "string" ? {} : result
    const end = typeof result === "string" ? result : unhandledErrors.length > 0 ? "crash" : undefined
    const failed = testModules.flatMap((module) => {
      const cases = Array.from(module.children.allTests("failed"), testOf)
      const whole = { file: relative(root, module.moduleId), name: "" }
      return cases.length > 0 || module.ok() || end !== undefined ? cases : [whole]
    })
    const ran = testModules.flatMap((module) => Array.from(module.children.allTests("passed"))).length
    // A runner whose process was ended may wait for it for ever.
    if (end !== undefined) {
      await close()
      vitest = await start()
    }
    const [next] = open
    const left = Array.from(open).filter(({ file }) => file === next?.file)
    return { end: failed.length > 0 ? undefined : end, failed, left, isWhole: ran >= tests.length }
  }

  /** Runs tests once more if their process failed to start, or lost its connection: that tells nothing about a mutant. */
  const firmly = async (tests: ReadonlyArray<Test>, most: Limit.Limit): Promise<Attempt> => {
    const first = await attempt(tests, most)
    return first.end === "crash" || (first.end === undefined && first.failed.length === 0 && !first.isWhole)
      ? attempt(tests, most)
      : first
  }

  return {
    /** Runs tests against one mutant, until one fails. What ends their process has to leave it alone without the mutant. */
    run: async (mutant: Mutant.Mutant): Promise<Outcome> => {
      const some = chosen(measured, mutant)
      const tests = some.map(({ file, name }) => ({ file, name: name! }))
      if (tests.length === 0) return { kind: "unreached", by: [], tests: 0 }
      const file = join(root, mutant.file)
      present = { file, text: Mutant.apply(mutant, readFileSync(file, "utf8")) }
      vitest.invalidateFile(file)
      const { end, failed, isWhole, left } = await firmly(tests, limit(some))
      present = undefined
      vitest.invalidateFile(file)
      if (failed.length > 0) return { kind: "killed", by: failed, tests: tests.length }
      const isOwn = end !== undefined && (await firmly(left.length > 0 ? left : tests, limit(some))).isWhole
      if (end === undefined ? !isWhole : !isOwn) {
        console.log(`no end of ${tests.length} tests: ${end ?? "some did not run"}`)
      }
      return { kind: isOwn ? end : "survived", by: [], tests: tests.length }
    },
    /** Runs tests without a mutant. Returns those that fail. */
    plain: async (tests: ReadonlyArray<Test>): Promise<ReadonlyArray<Test>> => {
      const failing: Array<Test> = []
      for (const some of Map.groupBy(tests, ({ file }) => file).values()) {
        let left: ReadonlyArray<Test> = some
        while (left.length > 0) {
          const { end, failed } = await firmly(left, { processor: Infinity, memory: Infinity, clock: 900 })
          const wrong = end === undefined ? left.filter((test) => failed.some((one) => same(one, test))) : left
          failing.push(...wrong)
          left = wrong.length === 0 ? [] : left.filter((test) => !wrong.includes(test))
        }
      }
      return failing
    },
    close
  }
}
