/**
 * A server that trains: `npm run example examples/server.ts` listens on port 3000.
 *
 * `curl -X POST localhost:3000/run` starts a run or resumes it, `curl -N localhost:3000/progress` follows it,
 * `curl -X DELETE localhost:3000/run` cancels it, with its state kept.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, FiberHandle, Layer, PubSub, Stream } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { Preset, Presets } from "patchword/domain"
import { Engine, Images, Progress, Runs, Teacher } from "patchword/layers"
import { trainTokenizer } from "patchword/pipelines"

const short = { optimizer: { duration: 200, warmup: 20 } }

const run = Preset.with(Presets.tiny, { tokenizer: short }).pipe(
  Effect.flatMap(({ tokenizer }) => trainTokenizer(tokenizer)),
  Effect.provide(
    Layer.mergeAll(
      Engine.layerOnnx(),
      Teacher.layerHog({ ...Presets.tiny.tokenizer, patchSize: 8, imageSize: 48 }),
      Runs.layer("runs/server", { config: { preset: "tiny", tokenizer: short } })
    ).pipe(Layer.provideMerge(Images.layerEmoji()))
  )
)

const routes = Effect.gen(function*() {
  const reports = yield* PubSub.sliding<Progress.Report>(64)
  const running = yield* FiberHandle.make()
  const training = run.pipe(
    Effect.tapError(Effect.logError),
    Effect.provideService(Progress.Progress, {
      ...Progress.silent,
      report: (report) => Effect.asVoid(PubSub.publish(reports, report))
    })
  )
  const events = Stream.fromPubSub(reports).pipe(Stream.map((report) => `data: ${JSON.stringify(report)}\n\n`))
  return [
    HttpRouter.route(
      "POST",
      "/run",
      Effect.as(FiberHandle.run(running, training, { onlyIfMissing: true }), HttpServerResponse.empty({ status: 202 }))
    ),
    HttpRouter.route("DELETE", "/run", Effect.as(FiberHandle.clear(running), HttpServerResponse.empty())),
    HttpRouter.route(
      "GET",
      "/progress",
      HttpServerResponse.stream(Stream.encodeText(events), { contentType: "text/event-stream" })
    )
  ]
})

const server = HttpRouter.serve(HttpRouter.addAll(routes)).pipe(
  // Who follows the progress would hold the server open for longer.
  Layer.provide(
    NodeHttpServer.layer(createServer, {
      port: Number(process.env["PORT"] ?? 3000),
      gracefulShutdownTimeout: "1 second"
    })
  )
)

NodeRuntime.runMain(Layer.launch(server))
