/** The views of a run, which are the tabs of its page. A view whose files are damaged says so, and the others are shown. */
import { Effect, type FileSystem, type Path } from "effect"
import type { Told } from "../../domain/values/TaggedError.ts"
import type { Html } from "../../pipelines/report/Html.ts"
import * as RunCurves from "../../pipelines/runs/RunCurves.ts"
import * as Sample from "../../pipelines/runs/Sample.ts"
import * as Atlased from "./Atlased.ts"
import * as Batch from "./Batch.ts"
import * as Completed from "./Completed.ts"
import type { Page } from "./Frame.ts"
import * as Healthy from "./Healthy.ts"
import * as Looked from "./Looked.ts"
import * as Missing from "./Missing.ts"
import type { Module } from "./Modules.ts"
import * as Overview from "./Overview.ts"
import * as Reported from "./Reported.ts"
import * as Tokenized from "./Tokenized.ts"
import * as Training from "./Training.ts"
import type { Place, View, Viewed } from "./View.ts"

/** Makes a view of one page without scripts. */
const plain = (
  id: string,
  title: string,
  render: (place: Place) => Effect.Effect<Html, Told, FileSystem.FileSystem | Path.Path>
): View => ({
  id,
  title,
  render: (place) => place.inner === "" ? Effect.map(render(place), (main) => ({ main })) : Effect.succeed(undefined)
})

const training: View = {
  id: "training",
  title: "Training",
  render: ({ from, id, inner, links, run }) =>
    inner !== "" ? Effect.succeed(undefined) : Effect.map(RunCurves.read(run.path), ({ measured, speed }) => ({
      ...Training.render(run, [...measured, ...speed], { expected: [], events: links.events?.(id), from }),
      ...links.events === undefined ? {} : { modules: ["studio/browser/Live"] }
    }))
}

/** The views, in the order of their tabs. */
export const all: ReadonlyArray<View> = [
  plain("overview", "Overview", ({ id, links, run }) => Effect.succeed(Overview.render(run, links.notes?.(id)))),
  training,
  plain(
    "batch",
    "Batch",
    ({ run }) => Effect.flatMap(Sample.read(run.path), ([samples, errors]) => Batch.render(samples, errors, run.path))
  ),
  plain("doctor", "Doctor", Healthy.render),
  { id: Atlased.ID, title: "Atlas", render: Atlased.render },
  plain("completion", "Completion", Completed.render),
  plain("attention", "Attention", Looked.render),
  { id: Tokenized.ID, title: "Your picture", render: Tokenized.render },
  plain("report", "Report", ({ id, links, run }) => Reported.render(run, links.report?.(id)))
]

/** Finds a view by its name in addresses. */
export const find = (id: string): View | undefined => all.find((view) => view.id === id)

/** A page of a view, with the browser modules that it needs. */
export interface Shown {
  readonly page: Page
  readonly modules: ReadonlyArray<Module>
  readonly runsWasm: boolean
  readonly isLost: boolean
}

/** Renders a view with its heading and its tabs. `undefined` if it has no page at the place. */
export const page = Effect.fnUntraced(function*(
  view: View,
  place: Place
): Effect.fn.Return<Shown | undefined, never, FileSystem.FileSystem | Path.Path> {
  const { id, links } = place
  const viewed = yield* view.render(place).pipe(
    Effect.catch((error) => Effect.succeed<Viewed>({ main: Missing.damaged(error) }))
  )
  if (viewed === undefined) return undefined
  const { charts = [], isLost = false, main, modules = [], runsWasm = false } = viewed
  return {
    modules,
    runsWasm,
    isLost,
    page: {
      title: `${id}: ${view.title}`,
      heading: id,
      tabs: all.map((one) => ({ title: one.title, href: links.run(id, one.id), isCurrent: one.id === view.id })),
      main,
      charts
    }
  }
})
