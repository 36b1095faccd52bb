/**
 * Mutation testing of the rooms that compute: `npm run mutants -- --room domain --count 100 --seed 1`. It changes the sources in one
 * place at a time, and runs the tests that reach the place until one fails. A mutant that no test notices is listed, unless
 * `survivors.json` tells why it changes no number.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import * as Classic from "./Classic.ts"
import * as Mutant from "./Mutant.ts"
import * as Survivor from "./Survivor.ts"
import * as Tests from "./Tests.ts"

const { values: given } = parseArgs({
  options: {
    room: { type: "string", multiple: true },
    file: { type: "string" },
    classic: { type: "boolean", default: false },
    count: { type: "string", default: "60" },
    from: { type: "string", default: "0" },
    seed: { type: "string", default: "1" },
    list: { type: "boolean", default: false },
    json: { type: "string" },
    help: { type: "boolean", default: false }
  }
})

const HELP =
  `npm run mutants -- [--room NAME]... [--count N] [--seed N] [--from N] [--file TEXT] [--classic] [--list] [--json FILE]

  --room     ${Tests.ROOMS.join(", ")}; all when absent
  --count    number of mutants of each room (default 60)
  --seed     another seed draws other mutants (default 1)
  --from     leaves out as many of them, which ran before
  --file     only sources whose path contains this text
  --classic  the listed faults of the method in place of drawn ones
  --list     prints the mutants, and runs nothing
  --json     writes the outcomes into this file`

const drawn = (room: string): ReadonlyArray<Mutant.Mutant> =>
  Mutant.draw(
    globSync(`src/${room}/**/*.ts`, { cwd: Tests.root }).toSorted()
      .filter((file) => !file.endsWith("/index.ts") && file.includes(given.file ?? ""))
      .flatMap((file) => Mutant.of(file, readFileSync(`${Tests.root}/${file}`, "utf8"))),
    Number(given.count),
    Number(given.seed)
  ).slice(Number(given.from))

const short = (text: string): string => text.replaceAll(/\s+/g, " ").slice(0, 80)

const told = ({ after, before, code, file, line }: Mutant.Mutant): string =>
  `${file}:${line}  ${short(code)}  |  ${short(before)} → ${short(after)}`

interface Ended {
  readonly mutant: Mutant.Mutant
  readonly kind: Tests.Outcome["kind"] | "equivalent"
  readonly by: ReadonlyArray<Tests.Test>
}

const campaign = async (
  session: Awaited<ReturnType<typeof Tests.session>>,
  mutants: ReadonlyArray<Mutant.Mutant>
): Promise<ReadonlyArray<Ended>> => {
  const ended: Array<Ended> = []
  for (const mutant of mutants) {
    const reason = Survivor.reason(mutant)
    const began = performance.now()
    const { by, kind, tests } = reason === undefined
      ? await session.run(mutant)
      : { kind: "equivalent" as const, by: [], tests: 0 }
    ended.push({ mutant, kind, by })
    if (given.json !== undefined) writeFileSync(`${given.json}.part`, JSON.stringify(ended))
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    console.log(`${kind.padEnd(10)} ${seconds.padStart(6)} s  ${String(tests).padStart(4)} tests  ${told(mutant)}`)
  }
  return ended
}

/** Counts as killed only what was killed by tests that pass without a mutant. */
const checked = async (
  session: Awaited<ReturnType<typeof Tests.session>>,
  ended: ReadonlyArray<Ended>
): Promise<ReadonlyArray<Ended>> => {
  const killers = new Map(
    ended.flatMap(({ by }) => by).filter(({ name }) => name !== "").map((test) => [JSON.stringify(test), test])
  )
  if (killers.size === 0) return ended
  const wrong = new Set((await session.plain(Array.from(killers.values()))).map((test) => JSON.stringify(test)))
  if (wrong.size > 0) console.log(`fail without a mutant: ${Array.from(wrong).join(", ")}`)
  return ended.map((
    one
  ) => (one.by.some((test) => wrong.has(JSON.stringify(test))) ? { ...one, kind: "survived" } : one))
}

if (given.help) console.log(HELP)
else {
  const rooms = given.room ?? Tests.ROOMS
  const groups = given.classic
    ? [["classic", Classic.mutants()] as const]
    : rooms.map((room) => [room, drawn(room)] as const)
  if (given.list) {
    for (const [room, mutants] of groups) console.log([room, ...mutants.map(told)].join("\n"))
  } else {
    const measured = await Tests.measure()
    const session = await Tests.session(measured)
    const all: Record<string, ReadonlyArray<Ended>> = {}
    for (const [room, mutants] of groups) all[room] = await checked(session, await campaign(session, mutants))
    for (const [room, ended] of Object.entries(all)) {
      const count = (...kinds: ReadonlyArray<Ended["kind"]>) => ended.filter(({ kind }) => kinds.includes(kind)).length
      const [killed, lived] = [count("killed", "timeout", "memory", "crash"), count("survived", "unreached")]
      console.log(
        `\n${room}: ${killed} of ${killed + lived} killed (${(100 * killed / (killed + lived)).toFixed(1)} %), ` +
          `${count("equivalent")} known to change no number`
      )
      for (const { kind, mutant } of ended) {
        if (kind === "survived" || kind === "unreached") console.log(`  ${kind}  ${told(mutant)}`)
      }
    }
    if (given.json !== undefined) writeFileSync(given.json, JSON.stringify(all, null, 2))
    await session.close()
  }
  process.exit(0)
}
