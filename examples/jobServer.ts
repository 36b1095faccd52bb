/**
 * A server whose runs outlive it: `npm run example examples/jobServer.ts` listens on port 3000.
 *
 * | request | does |
 * | --- | --- |
 * | `curl -T birds.tar localhost:3000/data/birds` | keeps images in a tar archive as a data set |
 * | `curl -X POST localhost:3000/jobs/birds` | submits a run on it, and answers the number of the job |
 * | `curl -N localhost:3000/jobs/1` | follows the job until it ends |
 * | `curl -X DELETE localhost:3000/jobs/1` | cancels it, with its state kept |
 * | `curl -X PUT localhost:3000/jobs/1` | resumes it |
 *
 * Jobs are kept in the folder `runs/store`. A server that was killed goes on with them when it is started again. With the address of
 * a PostgreSQL in place of the folder, workers on other machines take the jobs, too.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, FileSystem, Layer, Redacted, Schema, Stream } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { Preset, Presets } from "patchword/domain"
import { Jobs, JobStore, Stages, Worker } from "patchword/jobs"
import { Engine, Images, Runs, Teacher } from "patchword/layers"
import { pretrain, trainTokenizer } from "patchword/pipelines"

const short = { optimizer: { duration: 200, warmup: 20 } }
const preset = Preset.with(Presets.tiny, { tokenizer: short, pretrain: short })
const tokenizer = Effect.flatMap(preset, ({ tokenizer }) => trainTokenizer(tokenizer))

/** Names are parts of paths. */
const Name = Schema.String.check(Schema.isPattern(/^[\w-]{1,64}$/))

const fileOf = (data: string) => `data/${data}.tar`

/** A run on a data set. A stage that is done is read from the run folder by the next one. */
const run = Stages.workflow("Server", {
  payload: Schema.Struct({ data: Name }),
  title: ({ data }) => data,
  stages: ({ data }) => {
    const services = Layer.mergeAll(
      Engine.layerOnnx(),
      Teacher.layerHog({ ...Presets.tiny.tokenizer, patchSize: 8, imageSize: 48 }),
      Runs.layer(`runs/${data}`, { config: { preset: "tiny", short } })
    ).pipe(Layer.provideMerge(Images.layerWebDataset({ train: [fileOf(data)] }, { label: false })))
    const pretraining = Effect.gen(function*() {
      return yield* pretrain((yield* preset).pretrain, yield* tokenizer)
    })
    return [
      { name: "tokenizer", run: Effect.provide(tokenizer, services) },
      { name: "pretrain", run: Effect.provide(pretraining, services) }
    ]
  }
})

const data = HttpRouter.schemaPathParams(Schema.Struct({ data: Name }))
const job = Effect.map(
  HttpRouter.schemaPathParams(Schema.Struct({ job: Schema.FiniteFromString.check(Schema.isInt()) })),
  ({ job }) => job
)

const routes = Effect.gen(function*() {
  const jobs = yield* Jobs.Jobs
  const fs = yield* FileSystem.FileSystem
  yield* fs.makeDirectory("data", { recursive: true })
  const accepted = Effect.gen(function*() {
    const file = fileOf((yield* data).data)
    // A name that is there belongs to runs, and an upload that breaks off leaves nothing.
    if (yield* fs.exists(file)) return HttpServerResponse.empty({ status: 409 })
    const { stream } = yield* HttpServerRequest.HttpServerRequest
    const part = yield* fs.makeTempFileScoped({ directory: "data" })
    yield* Stream.run(stream, fs.sink(part))
    yield* fs.copyFile(part, file)
    return HttpServerResponse.empty({ status: 201 })
  }).pipe(Effect.scoped)
  const submitted = Effect.gen(function*() {
    const payload = yield* data
    if (!(yield* fs.exists(fileOf(payload.data)))) return HttpServerResponse.empty({ status: 404 })
    return yield* HttpServerResponse.json({ job: yield* Stages.submit(run, payload) }, { status: 202 })
  }).pipe(Effect.provideService(Jobs.Jobs, jobs))
  const followed = Effect.map(job, (id) =>
    HttpServerResponse.stream(
      Stream.encodeText(Stream.map(jobs.follow(id), (now) => `data: ${JSON.stringify(now)}\n\n`)),
      { contentType: "text/event-stream" }
    ))
  const changed = (change: typeof jobs.cancel) =>
    job.pipe(
      Effect.flatMap(change),
      Effect.flatMap((now) => HttpServerResponse.json(now)),
      Effect.catchTag("JobsError", ({ message, reason }) =>
        HttpServerResponse.json({ message }, { status: reason._tag === "NoSuchJob" ? 404 : 409 }))
    )
  return [
    HttpRouter.route("PUT", "/data/:data", accepted),
    HttpRouter.route("POST", "/jobs/:data", submitted),
    HttpRouter.route("GET", "/jobs/:job", followed),
    HttpRouter.route("DELETE", "/jobs/:job", changed(jobs.cancel)),
    HttpRouter.route("PUT", "/jobs/:job", changed(jobs.resume))
  ]
})

const store = JobStore.layer(Redacted.make("runs/store"), { own: true })
const offer = { engines: ["onnx"], gpu: false, memoryGiB: Worker.memoryGiB }

const server = HttpRouter.serve(HttpRouter.addAll(routes)).pipe(
  Layer.provide(Jobs.layer),
  Layer.merge(Worker.layer([run], { offer })),
  Layer.provide(store),
  Layer.provide(NodeFileSystem.layer),
  // Who follows a job would hold the server open for longer.
  Layer.provide(
    NodeHttpServer.layer(createServer, {
      port: Number(process.env["PORT"] ?? 3000),
      gracefulShutdownTimeout: "1 second"
    })
  )
)

NodeRuntime.runMain(Layer.launch(server))
