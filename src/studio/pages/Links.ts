/** Addresses on the pages: of a server, or within one file. */
import { Effect, type FileSystem, type Path } from "effect"
import type { FileError } from "../../layers/files/Files.ts"
import type { Run } from "../../pipelines/runs/Run.ts"

/** A run, and its name in addresses. */
export interface Named {
  readonly id: string
  readonly run: Run
}

/** Makes the addresses that pages link to. */
export interface Links {
  /** The list of runs. */
  readonly runs: string
  /** A tab of a run. */
  readonly run: (id: string, tab: string) => string
  /** The comparison of runs. `undefined` where it is not there. */
  readonly compare: string | undefined
  /** The news of the list of runs. `undefined` where nobody sends them. */
  readonly list: string | undefined
  /** The news of a run. `undefined` where nobody sends them. */
  readonly events: ((id: string) => string) | undefined
  /** The place that takes tags and notes. `undefined` where nobody does. */
  readonly notes: ((id: string) => string) | undefined
  /** The report that the run left, as a page of its own. `undefined` where it is not there. */
  readonly report: ((id: string) => string) | undefined
  /** The address of a file in the run folder on a server, by its name there. `undefined` where there is no server. */
  readonly address: ((id: string, name: string) => string) | undefined
  /** A picture in the run folder, by its name there: an address of a server, or of the picture itself. */
  readonly file: (named: Named, name: string) => Effect.Effect<string, FileError, FileSystem.FileSystem | Path.Path>
}

/** The addresses of a server, all below `prefix`, which ends without a slash. */
export const served = (prefix: string): Links => {
  const run = (id: string) => `${prefix}/runs/${encodeURIComponent(id)}`
  const address = (id: string, name: string) => `${run(id)}/files/${name.split("/").map(encodeURIComponent).join("/")}`
  return {
    runs: `${prefix}/`,
    run: (id, tab) => `${run(id)}/${tab}`,
    compare: `${prefix}/compare`,
    list: `${prefix}/events`,
    events: (id) => `${run(id)}/events`,
    notes: (id) => `${run(id)}/notes`,
    report: (id) => `${run(id)}/report.html`,
    address,
    file: ({ id }, name) => Effect.succeed(address(id, name))
  }
}
