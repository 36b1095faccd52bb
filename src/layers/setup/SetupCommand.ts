/** Other programs that a setup runs. */
import { Effect, FileSystem } from "effect"
import { execFile } from "node:child_process"
import * as Secrets from "../../domain/values/Secrets.ts"
import * as Files from "../files/Files.ts"
import { SetupError } from "./SetupError.ts"

/** Pip of Python 3. */
export const PIP = ["python3", "-m", "pip", "--quiet", "--disable-pip-version-check"] as const

/** Tells what to do where pip fails. */
export const ONLINE = "install Python 3 with pip, and let it reach PyPI"

/** Runs a program to its end. Gives its standard output. Fails with the last lines that it wrote. */
export const run = (
  part: string,
  remedy: string,
  folder: string,
  [program, ...given]: readonly [string, ...ReadonlyArray<string>]
): Effect.Effect<string, SetupError> =>
  Effect.callback((resume, signal) => {
    execFile(program, given, { cwd: folder, encoding: "utf8", maxBuffer: 2 ** 26, signal }, (error, stdout, stderr) => {
      if (error === null) return resume(Effect.succeed(stdout))
      const said = `${stderr}${stdout}`.trim().split("\n").slice(-12).join("\n")
      // Pip tells the address of its index, which may have a password.
      const detail = Secrets.mask(said === "" ? error.message.trim() : `${program} failed (${said})`)
      resume(Effect.fail(new SetupError({ part, detail, remedy })))
    })
  })

/** Makes a folder for the files of a setup. It is removed when the scope closes. Fails with `FileError`. */
export const workspace = Effect.flatMap(
  FileSystem.FileSystem,
  (fs) => Files.onFailure("the temporary folder")(fs.makeTempDirectoryScoped({ prefix: "patchword-setup-" }))
)

/** Says what begins. */
export type Report = (line: string) => Effect.Effect<void>
