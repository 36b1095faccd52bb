/**
 * Assembles `src/layers/engine/*.wat` into the modules beside them: `npm run build:kernels`. What it writes is committed,
 * so that nobody needs an assembler to run it, and a test compares both.
 */
import { readFileSync, writeFileSync } from "node:fs"
import wabt from "wabt"

const FOLDER = new URL("../src/layers/engine/", import.meta.url)

/** The module of a kernel, as TypeScript. */
export const assembled = async (name: string): Promise<string> => {
  const { parseWat } = await wabt()
  const module = parseWat(`${name}.wat`, readFileSync(new URL(`${name}.wat`, FOLDER), "utf8"), { simd: true })
  const { buffer } = module.toBinary({})
  module.destroy()
  const base64 = Buffer.from(buffer).toString("base64").match(/.{1,110}/g)!
  const lines = base64.map((line) => `  "${line}"`).join(" +\n")
  return `/** \`${name}.wat\`, assembled by \`npm run build:kernels\`, in base64. */\nexport const ${name}Wasm =\n${lines}\n`
}

if (import.meta.main) {
  for (const name of ["adamw"]) writeFileSync(new URL(`${name}Wasm.ts`, FOLDER), await assembled(name))
}
