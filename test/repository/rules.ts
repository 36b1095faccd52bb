import { readdirSync, readFileSync } from "node:fs"
import { basename, dirname, join } from "node:path/posix"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url))

export interface File {
  readonly path: string
  readonly text: string
}

export const filesUnder = (folder: string): ReadonlyArray<File> =>
  readdirSync(`${root}${folder}`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .map((path) => ({ path: path.slice(root.length), text: readFileSync(path, "utf8") }))

export const code = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)\/\/.*$/gm, "")

interface Room {
  readonly rooms: ReadonlyArray<string>
  readonly packages: ReadonlyArray<string>
}

const method = ["shapes", "domain", "nn", "compiler"]

const rooms: Readonly<Record<string, Room>> = {
  shapes: { rooms: [], packages: ["@tensorflow/tfjs-backend-cpu", "@tensorflow/tfjs-core"] },
  domain: { rooms: [], packages: ["effect", "ml-matrix", "pure-rand"] },
  nn: { rooms: ["shapes", "domain"], packages: [] },
  compiler: {
    rooms: ["shapes"],
    packages: ["@tensorflow/tfjs-backend-cpu", "@tensorflow/tfjs-core", "protobufjs"]
  },
  layers: {
    rooms: method,
    packages: [
      "@effect/platform-node",
      "@huggingface/hub",
      "@tensorflow/tfjs-core",
      "@zip.js/zip.js",
      "aws4fetch",
      "effect",
      "hyparquet",
      "hyparquet-compressors",
      "koffi",
      "node:",
      "onnxruntime-node",
      "onnxruntime-web",
      "protobufjs",
      "sharp",
      "tar-stream",
      "yaml"
    ]
  },
  pipelines: { rooms: [...method, "layers"], packages: ["effect", "node:module", "node:os", "sharp", "umap-js"] },
  laws: {
    rooms: [...method, "layers", "pipelines"],
    packages: ["@tensorflow/tfjs-core", "effect", "fast-check", "node:util"]
  },
  jobs: {
    rooms: ["domain", "layers"],
    packages: [
      "@effect/platform-node",
      "@effect/sql-pg",
      "@electric-sql/pglite",
      "effect",
      "node:net",
      "node:os"
    ]
  },
  studio: {
    rooms: [...method, "layers", "pipelines"],
    packages: ["@effect/platform-node", "effect", "node:http", "node:os"]
  },
  cli: { rooms: [...method, "layers", "jobs", "pipelines", "studio"], packages: ["@effect/platform-node", "effect"] }
}

const specifiers = (text: string): ReadonlyArray<string> =>
  Array.from(
    code(text).matchAll(/(?:\bfrom\s+|\bimport\s+|\bimport\(\s*|\brequire\(\s*)["']([^"']+)["']/g),
    ([, specifier]) => specifier!
  )

const packageOf = (specifier: string): string =>
  specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/")

const entry = new Set(["src/index.ts", "src/NodeVersion.ts", "src/RequireNode.ts"])

export const arrows = ({ path, text }: File): ReadonlyArray<string> => {
  const [, name] = path.split("/")
  const room = rooms[name!]
  if (room === undefined) return entry.has(path) ? [] : [`${path}: no room has this file`]
  return specifiers(text).flatMap((specifier) => {
    if (!specifier.startsWith(".")) {
      const known = room.packages.some((allowed) =>
        allowed.endsWith(":")
          ? specifier.startsWith(allowed)
          : allowed === packageOf(specifier) || allowed === specifier
      )
      return known ? [] : [`${path}: ${name} does not use ${specifier}`]
    }
    const [, target] = join(dirname(path), specifier).split("/")
    return target === name || room.rooms.includes(target!) || entry.has(`src/${target}`)
      ? []
      : [`${path}: ${name} does not know ${target}`]
  })
}

type Graph = ReadonlyMap<string, ReadonlyArray<string>>

const byFile = (files: ReadonlyArray<File>): Graph =>
  new Map(files.map(({ path, text }) => {
    const own = specifiers(text).filter((specifier) => specifier.startsWith("."))
    return [path, own.map((specifier) => join(dirname(path), specifier))]
  }))

/** Which folder imports from which others. An `index.ts` only exports again what a folder has, so it does not count. */
export const byFolder = (files: ReadonlyArray<File>): Graph => {
  const folders = new Map(files.map(({ path }) => [dirname(path), new Set<string>()]))
  for (const [path, targets] of byFile(files)) {
    if (basename(path) === "index.ts") continue
    for (const target of targets) {
      if (dirname(target) !== dirname(path)) folders.get(dirname(path))!.add(dirname(target))
    }
  }
  return new Map(Array.from(folders, ([folder, known]) => [folder, Array.from(known).toSorted()]))
}

/** Circles of imports, each as a path that ends where it begins; at least one of every knot of files. */
export const circles = (files: ReadonlyArray<File>): ReadonlyArray<string> => {
  const graph = byFile(files)
  const done = new Set<string>()
  const walk = (path: string, trail: ReadonlyArray<string>): ReadonlyArray<string> => {
    if (trail.includes(path)) return [[...trail.slice(trail.indexOf(path)), path].join(" -> ")]
    if (done.has(path)) return []
    const found = (graph.get(path) ?? []).flatMap((next) => walk(next, [...trail, path]))
    done.add(path)
    return found
  }
  return Array.from(graph.keys()).flatMap((path) => walk(path, []))
}

/** Files that a thread loads, and that load the whole of Effect: 250 modules, before the thread does anything. */
export const heavyThreads = (files: ReadonlyArray<File>): ReadonlyArray<string> => {
  const values = files.map(({ path, text }) => ({
    path,
    text: code(text).replaceAll(/^(?:import|export) type [^;]*? from ".*"$/gm, "")
  }))
  const graph = byFile(values)
  const whole = new Set(values.filter(({ text }) => specifiers(text).includes("effect")).map(({ path }) => path))
  const reach = (path: string, seen: Set<string>): Set<string> => {
    if (!seen.has(path)) {
      seen.add(path)
      for (const next of graph.get(path) ?? []) reach(next, seen)
    }
    return seen
  }
  const threads = Array.from(graph.keys()).filter((path) => /\w+Worker\.ts$/.test(path))
  return threads.flatMap((thread) =>
    Array.from(reach(thread, new Set())).filter((path) => whole.has(path)).map((path) => `${thread}: ${path}`)
  )
}

/** Pairs of folders that import each other. */
export const bothWays = (files: ReadonlyArray<File>): ReadonlyArray<string> => {
  const graph = byFolder(files)
  return Array.from(
    graph,
    ([folder, known]) =>
      known.filter((other) => folder < other && graph.get(other)?.includes(folder)).map((other) =>
        `${folder} <-> ${other}`
      )
  ).flat()
}

/** Which folder imports from which of its own room, each below all that it imports from: a drawing, room by room. */
export const drawing = (files: ReadonlyArray<File>): string => {
  const graph = byFolder(files.filter(({ path }) => path.split("/").length > 2 && basename(path) !== "index.ts"))
  const roomOf = (folder: string) => folder.split("/")[1]!
  const inRoom = (folder: string) => graph.get(folder)!.filter((other) => roomOf(other) === roomOf(folder))
  const depth = (folder: string): number => Math.max(0, ...inRoom(folder).map((other) => 1 + depth(other)))
  const line = (folder: string): string => {
    const known = inRoom(folder).map((other) => other.slice(`src/${roomOf(folder)}/`.length) || roomOf(folder))
    return known.length === 0 ? folder.slice(4) : `${folder.slice(4).padEnd(22)}──▶ ${known.join(", ")}`
  }
  return Object.keys(rooms).map((room) =>
    Array.from(graph.keys()).filter((folder) => roomOf(folder) === room)
      .toSorted((a, b) => depth(a) - depth(b) || (a < b ? -1 : 1)).map(line).join("\n")
  ).filter((lines) => lines !== "").join("\n\n")
}

/** Folders that hold more files than a person takes in at a glance. */
export const crowded = (files: ReadonlyArray<File>): ReadonlyArray<string> => {
  const counts = Object.entries(Object.groupBy(files, ({ path }) => dirname(path)))
  return counts.flatMap(([folder, held]) => held!.length > 25 ? [`${folder}: ${held!.length} files`] : [])
}

/** Parts of paths that say where something was put and not what it is. */
export const emptyNames = ({ path }: File): ReadonlyArray<string> =>
  path.split("/").filter((part) => /^(?:internal|utils?|helpers?|common)(?:\.|$)/i.test(part))
    .map((part) => `${path}: ${part}`)

/** Files whose names do not begin with a capital, save those that are called as a user calls what they hold. */
export const lowerCase = ({ path }: File): ReadonlyArray<string> =>
  /^src\/(?:cli\/(?:\w+|commands\/(?:\w+\/)?\w+)|domain\/config\/presets\/\w+|(?:\w+\/)?index)\.ts$/.test(path)
    || /^[A-Z]/.test(basename(path))
    ? []
    : [`${path}: lower case`]

const matches =
  (patterns: Readonly<Record<string, RegExp>>, read: (text: string) => string) => ({ path, text }: File) => {
    const kept = read(text)
    return Object.entries(patterns).flatMap(([name, pattern]) =>
      Array.from(kept.matchAll(pattern), () => `${path}: ${name}`)
    )
  }

export const hiddenInputs = matches({
  "Date.now": /\bDate\.now\b/g,
  "Math.random": /\bMath\.random\b/g,
  "console": /\bconsole\./g,
  "process.env": /\bprocess\.env\b/g,
  "new Date": /\bnew Date\b/g,
  "performance.now": /\bperformance\.now\b/g,
  "timer": /\bset(?:Timeout|Interval|Immediate)\b/g,
  "try": /\btry \{/g
}, code)

export const unboundedJson = matches({ fromJsonString: /\bfromJsonString\b/g }, code)

export const casts = matches({
  "as any": /\bas any\b/g,
  "as never": /\bas never\b/g,
  "as unknown as": /\bas unknown as\b/g
}, code)

export const hatches = matches(
  { unsafeTyped: /\bunsafeTyped[<(]/g, untyped: /\buntyped\b(?! \})/g },
  (text) => code(text).replaceAll(/^import .*$/gm, "")
)

/** Spans that do not say whose they are. */
export const spans = matches({
  "a span without the prefix": /\b(?:Effect\.fn|withSpan)\((?!\s*"patchword\.[A-Za-z.]+")/g
}, code)

/** Lines that are nothing but a list of type parameters. */
export const typeParameters = matches({
  "type parameters": /^\s*(?:const |in |out )*[A-Z]\w* extends [^=>{}?:\n]*,?$/gm
}, (text) => text)

/** Docstrings whose first sentence begins with a noun clause, such as "Where steps run." */
export const nounClauses = matches({
  "noun clause": /\/\*\*[\s*]*(?:What|How|Who|Whose|Where|Whether|When|Which)\b/g
}, (text) => text)

export const absolutePaths = matches({
  "absolute path": /(?<![\w.:/*)-])\/(?:home|root|Users|mnt|opt|tmp|work)\/\w/g
}, (text) => text)

export const publicModules = (room: string): ReadonlyArray<File> =>
  Array.from(
    readFileSync(`${root}src/${room}/index.ts`, "utf8").matchAll(/^export \* as \w+ from "\.\/([\w/]+\.ts)"$/gm),
    ([, file]) => ({ path: `src/${room}/${file}`, text: readFileSync(`${root}src/${room}/${file}`, "utf8") })
  )

export const examples = ({ text }: File): ReadonlyArray<string> => {
  const header = /^\/\*\*[\s\S]*?\*\//.exec(text)?.[0] ?? ""
  return Array.from(
    header.replaceAll(/^ \* ?/gm, "").matchAll(/^```ts\n([\s\S]*?)^```$/gm),
    ([, example]) => example!
  )
}
