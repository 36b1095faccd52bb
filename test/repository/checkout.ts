import { cpSync, mkdtempSync, readFileSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { root } from "./rules.ts"

export const checkout = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "patchword-checkout-"))
  for (const part of ["package.json", "node_modules", "src", "assets"]) {
    symlinkSync(join(root, part), join(folder, part))
  }
  cpSync(join(root, "examples"), join(folder, "examples"), { recursive: true })
  return folder
}

export const commandOf = (name: string): string | undefined =>
  /`(npm run example [^`]+)`/.exec(readFileSync(join(root, "examples", name), "utf8"))?.[1]
