/** Runs a case and judges how it ended: in a value or a typed error, in time, and with nothing outside of its folder. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Effect, Exit, Logger } from "effect"
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import * as Failure from "../../src/cli/terminal/Failure.ts"
import type { Told } from "../../src/domain/values/TaggedError.ts"
import { type Files, type Reader, type Shown } from "./Case.ts"
import * as Draw from "./Draw.ts"
import * as Hostile from "./Hostile.ts"
import * as Mutation from "./Mutation.ts"

/** Seconds of processor time that a case may take. */
export const LONGEST = 10
/** Seconds that a case may take, also by waiting, on a machine that does other things as well. */
export const WAITING = 60
/** Bytes of resident memory that a case may add. */
export const LARGEST = 2 ** 30

const KEPT = { "secret.json": JSON.stringify({ [Hostile.SECRET]: 1 }), "secret.safetensors": Hostile.SECRET }

/** The folders of a process that runs cases: one for inputs, and one beside it that nobody may touch. */
export interface Place {
  readonly root: string
  readonly inside: string
  readonly outside: string
}

export const place = (): Place => {
  const root = mkdtempSync(join(tmpdir(), "patchword-fuzz-"))
  const found: Place = { root, inside: join(root, "inside"), outside: join(root, "outside") }
  mkdirSync(found.outside)
  for (const [name, text] of Object.entries(KEPT)) writeFileSync(join(found.outside, name), text)
  return found
}

export const leave = ({ root }: Place): void => rmSync(root, { recursive: true, force: true })

const put = (folder: string, files: Files): void => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  for (const [name, content] of Object.entries(files)) {
    const file = join(folder, name)
    try {
      mkdirSync(dirname(file), { recursive: true })
      if (typeof content === "object" && "link" in content) symlinkSync(content.link, file)
      else writeFileSync(file, content)
    } catch {
      continue
    }
  }
}

const escaped = ({ outside, root }: Place): string | undefined => {
  const around = readdirSync(root).toSorted().join()
  if (around !== "inside,outside") return `beside the folder there is ${around}`
  const there = readdirSync(outside).toSorted().join()
  if (there !== Object.keys(KEPT).join()) return `outside of the folder there is ${there}`
  return Object.entries(KEPT).some(([name, text]) =>
      !lstatSync(join(outside, name)).isFile() || readFileSync(join(outside, name), "utf8") !== text
    )
    ? "a file outside of the folder changed"
    : undefined
}

// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/

const LONGEST_MESSAGE = 100_000

const isTold = (error: unknown): error is Told & Error =>
  error instanceof Error && "finding" in error && "remedy" in error

const shownWrong = ({ html, text, wrong }: Shown): string | undefined => {
  if (wrong !== undefined) return wrong
  if (text !== undefined && CONTROL.test(text)) {
    return `a control character reaches the terminal: ${JSON.stringify(text)}`
  }
  if (html === undefined) return undefined
  if (html.includes(Hostile.SECRET)) return "a page shows what a file outside of the folder holds"
  const at = [html.indexOf(Hostile.MARKUP), html.search(/(?<!\\)"onxss7f3a=/)].find((found) => found >= 0)
  return at === undefined ? undefined : `markup of a name is in the page: ${html.slice(Math.max(0, at - 80), at + 40)}`
}

const lineOf = async (error: Told): Promise<string> => {
  const said: Array<string> = []
  const before = console.error
  console.error = (...parts: ReadonlyArray<unknown>) => void said.push(parts.join(" "))
  await Effect.runPromise(Failure.show(false)(Failure.of(error))).finally(() => {
    console.error = before
  })
  return said.join("\n")
}

const errorWrong = async (error: unknown): Promise<string | undefined> => {
  if (!isTold(error)) return `an error without a finding and a remedy: ${String(error).slice(0, 300)}`
  const { finding, message, remedy } = error
  if (typeof finding !== "string" || typeof remedy !== "string" || finding === "" || remedy === "") {
    return `an error without a text: ${error.name}`
  }
  if (message.length > LONGEST_MESSAGE) return `a message of ${message.length} characters: ${message.slice(0, 120)}`
  return shownWrong({ text: await lineOf(error) })
}

const unheard: Array<string> = []
const hear = (cause: unknown): void =>
  void unheard.push(`unheard: ${cause instanceof Error ? cause.stack ?? cause.message : String(cause)}`)

/** Collects failures that nobody awaits. Returns what ends it. */
export const listen = (): () => void => {
  const kinds = ["unhandledRejection", "uncaughtException"] as const
  for (const kind of kinds) process.on(kind, hear)
  return () => kinds.forEach((kind) => process.off(kind, hear))
}

const resident = (): number => process.resourceUsage().maxRSS * 1024

/** How a case ended. `fault` is what is wrong with that. */
export interface Ended {
  readonly kind: "value" | "error" | "fault"
  /** The class of the error, or the words of the fault. */
  readonly what: string
}

/** Runs one input. */
export const examine = async (reader: Reader, folders: Place, files: Files): Promise<Ended> => {
  put(folders.inside, files)
  unheard.length = 0
  const before = Math.max(resident(), process.memoryUsage.rss())
  const cwd = process.cwd()
  const began = process.cpuUsage()
  const exit = await reader.read(folders.inside).pipe(
    Effect.timeoutOrElse({
      duration: `${WAITING} seconds`,
      orElse: () => Effect.die(`it takes more than ${WAITING} seconds`)
    }),
    Effect.scoped,
    Effect.provide([NodeServices.layer, Logger.layer([])]),
    Effect.runPromiseExit
  )
  await new Promise((resolve) => setImmediate(resolve))
  const fault = (what: string): Ended => ({ kind: "fault", what })
  if (unheard.length > 0) return fault(unheard[0]!)
  const { system, user } = process.cpuUsage(began)
  if (system + user > 1e6 * LONGEST) return fault(`it takes more than ${LONGEST} seconds of processor time`)
  const grown = resident() - before
  if (grown > LARGEST) return fault(`it takes ${(grown / 2 ** 30).toFixed(1)} GiB of memory`)
  if (process.cwd() !== cwd) return fault("it changed the working directory")
  const out = escaped(folders)
  if (out !== undefined) return fault(out)
  if (Exit.isSuccess(exit)) {
    const wrong = shownWrong(exit.value)
    return wrong === undefined ? { kind: "value", what: "value" } : fault(wrong)
  }
  if (exit.cause.reasons.some(({ _tag }) => _tag !== "Fail")) return fault(Cause.pretty(exit.cause))
  const error = Cause.squash(exit.cause)
  const wrong = await errorWrong(error)
  return wrong === undefined
    ? { kind: "error", what: Failure.of(error as Told).tag }
    : fault(wrong)
}

const known = new Map<string, Promise<ReadonlyArray<Files>>>()

/** Makes the input of a case from its number. */
export const inputOf = async (reader: Reader, seed: number, index: number): Promise<Files> => {
  const seeds = known.get(reader.name) ?? reader.seeds()
  known.set(reader.name, seeds)
  const draw = Draw.make(seed, reader.name, index)
  const valid = await seeds
  if (index < valid.length) return valid[index]!
  const made = reader.make !== undefined && draw.chance(0.5)
    ? await reader.make(draw, valid)
    : Mutation.files(draw, draw.of(valid))
  return reader.seal !== undefined && draw.chance(0.7) ? reader.seal(made, draw) : made
}
