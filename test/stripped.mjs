/** A hook of child processes: TypeScript without its types, kept from one process to the next. Removing them takes most of the start. */
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import * as module from "node:module"
import { fileURLToPath } from "node:url"
import { threadId } from "node:worker_threads"

const folder = fileURLToPath(new URL("../node_modules/.cache/patchword/stripped/", import.meta.url))

const stripped = (url) => {
  const text = readFileSync(fileURLToPath(url), "utf8")
  const file = folder + createHash("sha256").update(process.version).update(text).digest("hex")
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true })
    const own = `${file}-${process.pid}-${threadId}`
    writeFileSync(own, module.stripTypeScriptTypes(text))
    renameSync(own, file)
  }
  return readFileSync(file)
}

// An older Node, in which a test looks for a refusal, has no such hooks.
module.registerHooks?.({
  load: (url, context, next) =>
    url.startsWith("file:") && url.endsWith(".ts")
      ? { format: "module", source: stripped(url), shortCircuit: true }
      : next(url, context)
})
