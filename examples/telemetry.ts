/**
 * Learns from the demo's emoji for some seconds, and sends spans, metrics and the log to a collector of OpenTelemetry:
 * `npm run example examples/telemetry.ts` with one that listens on port 4318, or on another address that stands in
 * `OTEL_EXPORTER_OTLP_ENDPOINT`.
 */
import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { Otlp, OtlpSerialization } from "effect/observability"
import { Preset, Presets } from "patchword/domain"
import { Engine, Images, Runs, Teacher } from "patchword/layers"
import { trainTokenizer } from "patchword/pipelines"

const short = { optimizer: { duration: 20, warmup: 2 } }

const learn = Preset.with(Presets.tiny, { tokenizer: short }).pipe(
  Effect.flatMap(({ tokenizer }) => trainTokenizer(tokenizer, { checkpointEvery: 10 })),
  Effect.withSpan("telemetry"),
  Effect.provide(
    Layer.mergeAll(
      Engine.layerOnnx(),
      Teacher.layerHog({ ...Presets.tiny.tokenizer, patchSize: 8, imageSize: 48 }),
      Runs.layer("runs/telemetry", { config: { preset: "tiny", tokenizer: short } })
    ).pipe(Layer.provideMerge(Images.layerEmoji()))
  )
)

const telemetry = Otlp.layer({
  baseUrl: process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? "http://localhost:4318",
  resource: { serviceName: "patchword-example" },
  metricsExportInterval: "1 second"
}).pipe(Layer.provide(OtlpSerialization.layerJson), Layer.provide(FetchHttpClient.layer))

await Effect.runPromise(Effect.provide(learn, telemetry))
