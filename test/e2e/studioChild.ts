import { appendFileSync } from "node:fs"
import { setTimeout } from "node:timers/promises"
import { row } from "../studio/kit.ts"

const [log, from, to] = process.argv.slice(2)
for (let step = Number(from); step <= Number(to); step++) {
  const text = row(step)
  appendFileSync(log!, text.slice(0, 20))
  await setTimeout(5)
  appendFileSync(log!, text.slice(20))
  await setTimeout(15)
}
