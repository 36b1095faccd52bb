import { cpSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { draw } from "../cli/kit.ts"
import { root } from "./rules.ts"

/** Makes an example cheaper: small batches, so many steps, and a teacher that is fitted on few images. */
export const shortened = (example: string, steps: number): string =>
  example.replaceAll(/\bduration: \d+/g, `duration: ${steps}, batchSize: 8`)
    .replaceAll("Teacher.layerHog({ ", "Teacher.layerHog({ fitOn: 64, ")

/** A folder from which the shortened examples run, on a few pictures in place of the emoji. */
export const checkout = async (steps: number): Promise<string> => {
  const folder = mkdtempSync(join(tmpdir(), "patchword-checkout-"))
  for (const part of ["package.json", "node_modules", "src", "assets"]) {
    symlinkSync(join(root, part), join(folder, part))
  }
  const pictures = join(folder, "pictures")
  await draw(pictures)
  cpSync(join(pictures, "test"), join(pictures, "in-new"), { recursive: true })
  const examples = join(folder, "examples")
  cpSync(join(root, "examples"), examples, { recursive: true })
  for (const name of readdirSync(examples)) {
    const text = readFileSync(join(examples, name), "utf8")
    const own = text.replaceAll("Images.layerEmoji()", "Images.layerFolder(\"pictures\")")
    writeFileSync(join(examples, name), shortened(own, steps))
  }
  return folder
}

export const commandOf = (name: string): string | undefined =>
  /`(npm run example [^`]+)`/.exec(readFileSync(join(root, "examples", name), "utf8"))?.[1]
