/**
 * Assembles the `.wat` files of `src` into the modules beside them: `npm run build:kernels`. What it writes is committed,
 * so that nobody needs an assembler to run it, and a test compares both.
 */
import { readFileSync, writeFileSync } from "node:fs"
import wabt from "wabt"

/** Every kernel, by its path in `src` without the extension. */
export const kernels = ["domain/values/RandomArrays", "layers/engine/wasm/AdamWKernel", "layers/images/views/Views"]

const at = (path: string) => new URL(`../src/${path}`, import.meta.url)

/** The module of a kernel, as TypeScript. */
export const assembled = async (path: string): Promise<string> => {
  const { parseWat } = await wabt()
  const file = path.slice(path.lastIndexOf("/") + 1)
  const name = `${file[0]!.toLowerCase()}${file.slice(1)}`
  const module = parseWat(`${file}.wat`, readFileSync(at(`${path}.wat`), "utf8"), { simd: true })
  const { buffer } = module.toBinary({})
  module.destroy()
  const base64 = Buffer.from(buffer).toString("base64").match(/.{1,110}/g)!
  const lines = base64.map((line) => `  "${line}"`).join(" +\n")
  return `/** \`${file}.wat\`, assembled by \`npm run build:kernels\`, in base64. */\nexport const ${name}Wasm =\n${lines}\n`
}

if (import.meta.main) {
  for (const path of kernels) writeFileSync(at(`${path}Wasm.ts`), await assembled(path))
}
