/** The user's folder of caches. */
import { Config, Effect, Option } from "effect"
import { homedir } from "node:os"
import { join } from "node:path"

/** Returns the folder of a name in patchword's caches. It need not be there. */
export const folder = Effect.fnUntraced(function*(name: string) {
  const variable = process.platform === "win32" ? "LOCALAPPDATA" : "XDG_CACHE_HOME"
  const caches = yield* Effect.orDie(Config.option(Config.String(variable)))
  const usual = join(homedir(), process.platform === "darwin" ? "Library/Caches" : ".cache")
  return join(Option.getOrElse(caches, () => usual), "patchword", name)
})
