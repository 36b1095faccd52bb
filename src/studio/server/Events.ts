/**
 * News as server-sent events. Those of a run begin with all curves until now, so that a reader who comes back after a lost connection
 * misses nothing.
 */
import { Stream } from "effect"
import { Sse } from "effect/encoding"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Told } from "../../domain/values/TaggedError.ts"
import type { Html } from "../../pipelines/report/Html.ts"
import type * as Follow from "../../pipelines/runs/Follow.ts"
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

const beating = <E>(texts: Stream.Stream<string, E>): Stream.Stream<string, E> =>
  Stream.merge(texts, Stream.as(Stream.tick(BEAT), ": still here\n\n"))

/** Makes the texts of a run's events, which end when the news do. */
export const ofRun = <E>(news: Stream.Stream<Follow.Event, E>): Stream.Stream<string, E> =>
  beating(
    Stream.mapAccum(news, (): Run | undefined => undefined, (known, one) => {
      const now = one._tag === "Run" ? one.run : known
      return [now, written(now, one)] as const
    })
  )

/** Makes the texts of the events of the list, each of which brings the list as it is then. */
export const ofList = <E>(lists: Stream.Stream<Html, E>): Stream.Stream<string, E> =>
  beating(Stream.map(lists, (list) => event("runs", list.html)))

/** Answers with the texts of events. */
export const answer = (
  request: HttpServerRequest.HttpServerRequest,
  texts: Stream.Stream<string, Told>
): HttpServerResponse.HttpServerResponse => {
  const headers = { "cache-control": "no-store", "x-accel-buffering": "no" }
  const contentType = "text/event-stream"
  return request.method === "HEAD"
    ? HttpServerResponse.text("", { contentType, headers })
    : HttpServerResponse.stream(Stream.encodeText(texts), { contentType, headers })
}
