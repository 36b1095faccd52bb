import { Duration, Effect, Layer, Redacted } from "effect"
import * as Signals from "../../src/cli/terminal/Signals.ts"
import * as JobStore from "../../src/jobs/JobStore.ts"
import * as Worker from "../../src/jobs/Worker.ts"
import { run, shared } from "./microRun.ts"

const [place, lease] = process.argv.slice(2)

Layer.launch(
  Worker.layer([run, shared], {
    offer: { engines: ["onnx"], gpu: false, memoryGiB: 8 },
    host: "127.0.0.1",
    lease: Duration.seconds(Number(lease)),
    say: (text) => Effect.sync(() => process.stdout.write(`${text}\n`))
  }).pipe(Layer.provide(JobStore.layer(Redacted.make(place!), { own: true })))
).pipe(Effect.scoped, Signals.runMain(["pretrain"]))
