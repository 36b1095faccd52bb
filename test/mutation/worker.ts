/** Runs in the process of the tests: tells its number, and while tests are measured which functions each of them reaches. */
import { appendFileSync, writeFileSync } from "node:fs"
import { afterEach, beforeEach } from "vitest"
import { REACHED, type Reached } from "./Reached.ts"

const { PATCHWORD_PROCESS: number, PATCHWORD_REACHED: file } = process.env
if (number !== undefined) writeFileSync(number, String(process.pid))

interface Named {
  readonly name: string
  readonly suite?: Named | undefined
}

const nameOf = ({ name, suite }: Named): string => (suite === undefined ? name : `${nameOf(suite)} ${name}`)

const measure = (file: string): void => {
  const reached: Set<string> = new Set()
  Object.assign(globalThis, { [REACHED]: reached })
  const tell = (record: Reached): void => appendFileSync(file, `${JSON.stringify(record)}\n`)
  const take = (): ReadonlyArray<string> => {
    const taken = Array.from(reached)
    reached.clear()
    return taken
  }
  // Processor time does not depend on what else runs.
  const spent = (): number => process.cpuUsage().user + process.cpuUsage().system
  let began = 0
  beforeEach(({ task }) => {
    tell({ file: task.file.filepath, milliseconds: 0, reached: take() })
    began = spent()
  })
  afterEach(({ task }) => {
    const milliseconds = Math.ceil((spent() - began) / 1000)
    tell({ file: task.file.filepath, name: nameOf(task), milliseconds, reached: take() })
  })
}

if (file !== undefined) measure(file)
