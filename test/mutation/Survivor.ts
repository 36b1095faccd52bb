import { readFileSync } from "node:fs"
import type { Mutant } from "./Mutant.ts"

/** A mutant that no test can notice. */
interface Survivor {
  readonly file: string
  /** The line of the source, without the space around it. */
  readonly code: string
  readonly before: string
  readonly after: string
  readonly reason: string
}

const survivors: ReadonlyArray<Survivor> = JSON.parse(
  readFileSync(new URL("survivors.json", import.meta.url), "utf8")
)

/** Tells why no test can notice a mutant, if it is in the list. */
export const reason = ({ after, before, code, file }: Mutant): string | undefined =>
  survivors.find((known) =>
    known.file === file && known.code === code && known.before === before && known.after === after
  )?.reason
