/**
 * News for those who have a page open: of one run, and of the list of runs. However many look at the same, the folder is looked at once, and
 * by nobody when the last one has left.
 */
import { type Duration, Effect, type FileSystem, type Path, RcMap, Schedule, type Scope, Stream } from "effect"
import type { Told } from "../../domain/values/TaggedError.ts"
import * as Follow from "../../pipelines/runs/Follow.ts"
import type { Run } from "../../pipelines/runs/Run.ts"
import * as RunCurves from "../../pipelines/runs/RunCurves.ts"
import type { Named } from "../pages/Links.ts"
import * as Inside from "./Inside.ts"
import * as Sharing from "./Sharing.ts"
import * as Shelf from "./Shelf.ts"

type Io = FileSystem.FileSystem | Path.Path

/** The news. */
export interface News {
  /** News of a run, which begin with all that is known. */
  readonly ofRun: (run: string) => Stream.Stream<Follow.Event, Told>
  /** The runs, again and again when something of them has changed. */
  readonly ofRuns: Stream.Stream<ReadonlyArray<Named>, Told>
}

/** Options of news. */
export interface NewsOptions extends Pick<Follow.FollowOptions, "every" | "least"> {
  /** Time between two looks at the list of runs; default 2 seconds. */
  readonly list?: Duration.Input
  /** Has the folders follow runs that are elsewhere. It runs every ten seconds while somebody has a page open. */
  readonly renew?: Effect.Effect<void> | undefined
  /** Tells the names of copies. */
  readonly shown?: (text: string) => string
}

/** Remembers of the news of a run what a reader needs who comes later. */
const remembered = (): Sharing.Memory<Follow.Event> => {
  let run: Run | undefined
  let speed: Extract<Follow.Event, { readonly _tag: "Speed" }> | undefined
  let collected: ReturnType<typeof RunCurves.collect> | undefined
  let gone: ReadonlyArray<Follow.Event> = []
  const learn = (event: Follow.Event): void => {
    switch (event._tag) {
      case "Run":
        run = event.run
        gone = []
        return
      case "Speed":
        speed = event
        return
      case "Curves": {
        const fresh = RunCurves.collect()
        for (const { metric, stage, steps, values } of event.curves) {
          for (let i = 0; i < steps.length; i++) fresh.add(stage, metric, steps[i]!, values[i]!)
        }
        collected = fresh
        return
      }
      case "Rows":
        for (const row of event.rows) collected?.row(row)
        return
      case "Gone":
        run = speed = collected = undefined
        gone = [event]
    }
  }
  const known = (): ReadonlyArray<Follow.Event> => [
    ...gone,
    ...(run === undefined ? [] : [{ _tag: "Run", run } as const]),
    ...(speed === undefined ? [] : [speed]),
    ...(collected === undefined ? [] : [{ _tag: "Curves", curves: collected.curves() } as const])
  ]
  return { learn, known }
}

const newest = <A>(): Sharing.Memory<A> => {
  let last: ReadonlyArray<A> = []
  return { learn: (value) => void (last = [value]), known: () => last }
}

const ALL = ""

const RENEWAL = "10 seconds"

/** Makes the news of the runs in folders. They live as long as the scope. */
export const make = Effect.fnUntraced(function*(
  folders: ReadonlyArray<string>,
  options: NewsOptions = {}
): Effect.fn.Return<News, never, Io | Scope.Scope> {
  const { list = "2 seconds", renew = Effect.void, shown, ...following } = options
  const renewals = yield* RcMap.make({
    lookup: () => Effect.forkScoped(Effect.repeat(renew, Schedule.spaced(RENEWAL)))
  })
  const renewed = RcMap.get(renewals, ALL)
  const runs = yield* RcMap.make({
    lookup: (run: string) =>
      Effect.andThen(renewed, Inside.within([run])(Sharing.make(Follow.follow(run, following), remembered())))
  })
  const lists = yield* RcMap.make({
    lookup: () =>
      Effect.flatMap(Effect.andThen(renewed, Shelf.watcher(folders, shown)), (look) => {
        const looks = Stream.fromEffectSchedule(look, Schedule.spaced(list)).pipe(
          Stream.filter((found) => found !== undefined)
        )
        return Sharing.make(looks, newest<ReadonlyArray<Named>>())
      })
  })
  return {
    ofRun: (run) => Stream.unwrap(RcMap.get(runs, run)),
    ofRuns: Stream.unwrap(RcMap.get(lists, ALL))
  }
})
