/** The doctor's view of a run: the report of its last diagnosis. */
import { Effect, type FileSystem, Option, type Path } from "effect"
import type { Told } from "../../domain/values/TaggedError.ts"
import * as HealthFile from "../../pipelines/doctor/HealthFile.ts"
import * as HealthView from "../../pipelines/doctor/HealthView.ts"
import type { Html } from "../../pipelines/report/Html.ts"
import type { Run } from "../../pipelines/runs/Run.ts"
import { missing } from "./Missing.ts"

/** Reads and renders the health of a run. */
export const render = ({ path }: Run): Effect.Effect<Html, Told, FileSystem.FileSystem | Path.Path> =>
  Effect.map(
    HealthFile.read(path),
    Option.match({
      onNone: () => missing("This run was not examined yet.", `patchword doctor ${path}`),
      onSome: HealthView.render
    })
  )
