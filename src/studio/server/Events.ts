/**
 * News of a run as server-sent events. They begin with all curves until now, so that a reader who comes back after a lost connection misses
 * nothing. A client that leaves ends its stream, and with it the watching of the folder.
 */
import { Effect, type FileSystem, type Path, Stream } from "effect"
import { Sse } from "effect/encoding"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Told } from "../../domain/values/TaggedError.ts"
import * as Follow from "../../pipelines/runs/Follow.ts"
import type { Run } from "../../pipelines/runs/Run.ts"
import type { Point } from "../pages/Following.ts"
import * as RunFacts from "../pages/RunFacts.ts"
import * as Training from "../pages/Training.ts"

const event = (name: string, content: unknown): string =>
  Sse.encoder.write({ _tag: "Event", event: name, id: undefined, data: JSON.stringify(content) })

const pointsOf = (row: Extract<Follow.Event, { readonly _tag: "Rows" }>["rows"][number]): ReadonlyArray<Point> => {
  const { stage, step, ...metrics } = row
  return Object.entries(metrics).flatMap(([metric, value]) =>
    typeof value === "number" ? [[stage, metric, step, value] as const] : []
  )
}

/** Tells the step of the last row, which is newer than the run that was read. */
const stepsOf = (run: Run | undefined, { stage, step }: { readonly stage: string; readonly step: number }) => {
  const known = run?.stages.find((one) => one.stage === stage)
  return known === undefined ? {} : { stage, steps: RunFacts.steps({ ...known, step: Math.max(step, known.step) }) }
}

/** Writes news as events. `run` is the run as it was read last. */
const written = (run: Run | undefined, news: Follow.Event): ReadonlyArray<string> => {
  switch (news._tag) {
    case "Run":
      return [event("state", Training.progress(news.run))]
    case "Curves":
      return [event("measured", news.curves)]
    case "Speed":
      return [event("speed", news.curves)]
    case "Rows": {
      const last = news.rows.at(-1)
      return [
        event("points", news.rows.flatMap(pointsOf)),
        ...(last === undefined ? [] : [event("state", stepsOf(run, last))])
      ]
    }
    case "Checkpoint":
      return [event("state", { news: `Checkpoint of ${news.stage} at step ${news.step}` })]
    case "Result":
      return [event("state", { news: `${RunFacts.figureName(news.figure)}: ${RunFacts.value(news.figure)}` })]
    case "Gone":
      return [event("state", { state: "not there" })]
  }
}

// A proxy or a browser closes a connection on which nothing comes.
const BEAT = "15 seconds"

/** Makes the texts of the events, which never end. */
export const texts = (
  run: string,
  options?: Follow.FollowOptions
): Stream.Stream<string, Told, FileSystem.FileSystem | Path.Path> =>
  Follow.follow(run, options).pipe(
    Stream.mapAccum((): Run | undefined => undefined, (known, news) => {
      const now = news._tag === "Run" ? news.run : known
      return [now, written(now, news)] as const
    }),
    Stream.merge(Stream.as(Stream.tick(BEAT), ": still here\n\n"))
  )

/** Answers with the events. */
export const answer = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest, run: string) {
  const headers = { "cache-control": "no-store", "x-accel-buffering": "no" }
  const contentType = "text/event-stream"
  if (request.method === "HEAD") return HttpServerResponse.text("", { contentType, headers })
  const context = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
  const bytes = Stream.encodeText(texts(run)).pipe(Stream.provideContext(context))
  return HttpServerResponse.stream(bytes, { contentType, headers })
})
