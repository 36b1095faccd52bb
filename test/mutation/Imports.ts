import { globSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

// Types are not there when a program runs.
const imported = /^(?:import|export)(?!\s+type\b)[^"]*?from "(\.[^"]+)"|\bimport\("(\.[^"]+)"\)/gm

/** Returns the files that import each file. */
const importers = (): ReadonlyMap<string, ReadonlyArray<string>> => {
  const pairs = globSync("{src,test}/**/*.ts", { cwd: root }).toSorted().flatMap((file) =>
    Array.from(
      readFileSync(join(root, file), "utf8").matchAll(imported),
      ([, from, later]) => [relative(root, join(root, file, "..", (from ?? later)!)), file] as const
    )
  )
  return new Map(Array.from(Map.groupBy(pairs, ([to]) => to), ([to, some]) => [to, some.map(([, file]) => file)]))
}

let known: ReturnType<typeof importers> | undefined

/** Counts the imports between a source and each file that depends on it: 1 for a file that imports it. */
export const distances = (source: string): ReadonlyMap<string, number> => {
  known ??= importers()
  const found = new Map([[source, 0]])
  // A map also visits what is added to it.
  for (const [file, distance] of found) {
    for (const importer of known.get(file) ?? []) if (!found.has(importer)) found.set(importer, distance + 1)
  }
  return found
}
