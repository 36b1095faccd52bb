/** What the scripts that put a library into this checkout have in common. */
import { Console, Duration, Effect, Schema } from "effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export class SetupError extends Schema.TaggedError<SetupError>()("SetupError", {
  step: Schema.String,
  detail: Schema.String,
  remedy: Schema.String,
  code: Schema.Int
}) {
  override get message() {
    return `${this.step}: ${this.detail}; ${this.remedy}`
  }
}

/** The checkout. */
export const root = fileURLToPath(new URL("..", import.meta.url))

export const fail = (step: string, detail: string, remedy: string, code = 69) =>
  Effect.fail(new SetupError({ step, detail, remedy, code }))

type Command = readonly [string, ...ReadonlyArray<string>]

interface Options {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly remedy: string
}

/** What a command prints. */
export const run = (step: string, { cwd = root, env = {}, remedy }: Options, [command, ...args]: Command) =>
  Effect.suspend(() => {
    const { error, status, stderr, stdout } = spawnSync(command, args, {
      cwd,
      encoding: "utf8",
      env: { ...process.env, ...env },
      maxBuffer: 2 ** 26
    })
    if (status === 0) return Effect.succeed(stdout)
    if (error !== undefined) return fail(step, `${command} does not run (${error.message})`, remedy)
    const said = `${stderr}${stdout}`.trim().split("\n").slice(-12).join("\n")
    return fail(step, `${command} ended with ${status ?? "a signal"} (${said})`, remedy)
  })

/** Says what is done and, when it is, how long it took. */
export const timed = <A, E>(title: string, step: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    yield* Console.log(`- ${title}`)
    const [duration, value] = yield* Effect.timed(step)
    yield* Console.log(`  ${Duration.toSeconds(duration).toFixed(1)} s`)
    return value
  })

/** The command that asks pip, in Python 3. */
export const pip = ["python3", "-m", "pip", "--quiet", "--disable-pip-version-check"] as const

/** What to do when pip fails. */
export const online = { remedy: "install Python 3 with pip, and let it reach PyPI" }

/** A folder that is gone with its scope. */
export const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "patchword-setup-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** Runs the script to its exit code. `library` stands in errors. */
export const main = <A>(library: string, program: Effect.Effect<A, SetupError>): Promise<void> =>
  Effect.runPromise(Effect.match(program, {
    onSuccess: () => 0,
    onFailure: ({ code, message }) => {
      process.stderr.write(`setup of ${library}, ${message}\n`)
      return code
    }
  })).then((code) => {
    process.exitCode = code
  })
