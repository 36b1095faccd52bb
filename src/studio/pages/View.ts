/** A view of a run: one of the tabs of its page. */
import type { Effect, FileSystem, Path } from "effect"
import type { Told } from "../../domain/values/TaggedError.ts"
import type { FileError } from "../../layers/files/Files.ts"
import type { WeightsError } from "../../layers/weights/WeightsError.ts"
import type * as Atlas from "../../pipelines/atlas/Atlas.ts"
import type { Chart } from "../../pipelines/report/Charts.ts"
import type { Html } from "../../pipelines/report/Html.ts"
import type { StageDigest } from "../../pipelines/trained/RunDigests.ts"
import type { Links, Named } from "./Links.ts"
import type { Module } from "./Modules.ts"

/** The place of a view: its run, the addresses of its page, and the number of charts before its own. */
export interface Place extends Named {
  readonly links: Links
  readonly from: number
  /** Opens the atlas of a run folder. */
  readonly atlas: (
    run: string
  ) => Effect.Effect<Atlas.Atlas, Atlas.AtlasError | FileError, FileSystem.FileSystem | Path.Path>
  /** Computes the digests of the weights of a run folder. */
  readonly digests: (
    run: string
  ) => Effect.Effect<ReadonlyArray<StageDigest>, FileError | WeightsError, FileSystem.FileSystem | Path.Path>
  /** The path of a page within the view, without a slash at its ends; empty for its first page. */
  readonly inner: string
}

/** A rendered view. */
export interface Viewed {
  readonly main: Html
  readonly charts?: ReadonlyArray<Chart>
  /** The browser modules that it needs on a page of a server. */
  readonly modules?: ReadonlyArray<Module>
  /** True if there is nothing at the place, and the page tells what there is. */
  readonly isLost?: boolean
  /** True if a module compiles WebAssembly, which the policy of other pages refuses. */
  readonly runsWasm?: boolean
}

/** A view. It renders `undefined` if it has no page at the place. */
export interface View {
  readonly id: string
  readonly title: string
  readonly render: (place: Place) => Effect.Effect<Viewed | undefined, Told, FileSystem.FileSystem | Path.Path>
}
