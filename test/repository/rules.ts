import { readdirSync, readFileSync } from "node:fs"
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
  shapes: { rooms: [], packages: ["@tensorflow/tfjs", "ts-arithmetic"] },
  domain: { rooms: [], packages: ["effect", "ml-matrix", "pure-rand"] },
  nn: { rooms: ["shapes", "domain"], packages: [] },
  compiler: { rooms: ["shapes"], packages: ["@tensorflow/tfjs", "protobufjs"] },
  layers: {
    rooms: method,
    packages: [
      "@effect/platform-node",
      "@huggingface/hub",
      "@tensorflow/tfjs",
      "@zip.js/zip.js",
      "cli-progress",
      "effect",
      "hyparquet",
      "hyparquet-compressors",
      "koffi",
      "node:",
      "onnxruntime-node",
      "onnxruntime-web",
      "sharp",
      "tar-stream",
      "yaml"
    ]
  },
  pipelines: { rooms: [...method, "layers"], packages: ["effect", "node:module", "node:os", "sharp"] },
  cli: { rooms: [...method, "layers", "pipelines"], packages: ["@effect/platform-node", "effect"] }
}

const specifiers = (text: string): ReadonlyArray<string> =>
  Array.from(
    code(text).matchAll(/(?:\bfrom\s+|\bimport\s+|\bimport\(\s*|\brequire\(\s*)["']([^"']+)["']/g),
    ([, specifier]) => specifier!
  )

const packageOf = (specifier: string): string =>
  specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/")

export const arrows = ({ path, text }: File): ReadonlyArray<string> => {
  const [, name] = path.split("/")
  const room = rooms[name!]
  if (room === undefined) return path === "src/index.ts" ? [] : [`${path}: no room has this file`]
  return specifiers(text).flatMap((specifier) => {
    if (!specifier.startsWith(".")) {
      const known = room.packages.some((allowed) =>
        allowed.endsWith(":")
          ? specifier.startsWith(allowed)
          : allowed === packageOf(specifier) || allowed === specifier
      )
      return known ? [] : [`${path}: ${name} does not use ${specifier}`]
    }
    const [, target] = new URL(specifier, `file:///${path}`).pathname.slice(1).split("/")
    return target === name || room.rooms.includes(target!) ? [] : [`${path}: ${name} does not know ${target}`]
  })
}

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
