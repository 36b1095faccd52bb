import { Effect, FileSystem } from "effect"
import { existsSync, mkdirSync, rmSync } from "node:fs"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as Files from "../../src/layers/files/Files.ts"
import { Disk, filesOf, readTree, type Survival, survivals, type Tree, writeTree } from "./powerLoss.ts"
import { type Operation, type Watch, watchedDisk } from "./watchedDisk.ts"
import type { Work } from "./works.ts"

// A lock of a process that is gone stays until the folder is opened again.
const UNLIKE = /(^|\/)(checkpoints|samples|timings\.jsonl|lock|claim-\d+\.json)(\/|$)/

const LEFT = /(^|\/)(\.tmp-|\.replaced-)/

export const emptied = (folder: string): void => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
}

export interface Contents {
  readonly files: ReadonlyArray<readonly [path: string, sha256: string]>
  readonly left: ReadonlyArray<string>
}

export const contentsOf = (folder: string): Contents => {
  const all = existsSync(folder) ? filesOf(readTree(folder)) : []
  return {
    files: all.filter(([path]) => !UNLIKE.test(path) && !LEFT.test(path))
      .map(([path, content]) => [path, Files.sha256(content)]),
    left: all.map(([path]) => path).filter((path) => LEFT.test(path))
  }
}

export const watched = <A, E, R>(
  watch: Watch,
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | FileSystem.FileSystem> =>
  Effect.flatMap(
    FileSystem.FileSystem,
    (fs) => Effect.provideService(self, FileSystem.FileSystem, watchedDisk(fs, watch))
  )

export const recorded = Effect.fnUntraced(function*(work: Work, folder: string) {
  const operations: Array<Operation> = []
  const exit = yield* Effect.exit(
    watched({ after: (operation) => void operations.push(operation) }, work.run(`${folder}/run`))
  )
  return { operations, exit }
})

export interface Loss {
  readonly operations: number
  readonly survival: Survival
  readonly seed: number
}

export interface Remains {
  readonly loss: Loss
  readonly tree: Tree
}

// What is below a temporary name is removed, whatever it holds.
const digestOf = (tree: Tree): string =>
  Files.sha256(JSON.stringify(
    Object.entries(tree).toSorted(([a], [b]) => a < b ? -1 : 1).map(([name, one]) => [
      name.startsWith(".tmp-") ? ".tmp-" : name,
      name.startsWith(".tmp-") ? "" : Buffer.isBuffer(one) ? Files.sha256(one) : digestOf(one)
    ])
  ))

export interface Choice {
  readonly begun?: Tree
  readonly at?: (count: number) => boolean
  readonly survivals?: ReadonlyArray<Survival>
  readonly seeds?: ReadonlyArray<number>
}

export function* remains(
  folder: string,
  operations: ReadonlyArray<Operation>,
  choice: Choice = {}
): Generator<Remains> {
  const { at = () => true, begun = {}, seeds = [0], survivals: wanted = survivals } = choice
  const seen = new Set<string>()
  const disk = new Disk(folder, begun)
  for (let count = 0; count <= operations.length; count++) {
    if (count > 0) disk.apply(operations[count - 1]!)
    if (!at(count)) continue
    for (const survival of wanted) {
      for (const seed of survival === "synced" || survival === "all" ? seeds.slice(0, 1) : seeds) {
        const random = KeyedRandom.generator({ seed, purpose: `test/power/${survival}`, epoch: 0, index: count })
        const tree = disk.after(survival, random)
        const digest = digestOf(tree)
        if (seen.has(digest)) continue
        seen.add(digest)
        yield { loss: { operations: count, survival, seed }, tree }
      }
    }
  }
}

export const resumed = Effect.fnUntraced(function*(work: Work, folder: string, { tree }: Pick<Remains, "tree">) {
  writeTree(folder, tree)
  yield* work.run(`${folder}/run`)
  return contentsOf(folder)
})
