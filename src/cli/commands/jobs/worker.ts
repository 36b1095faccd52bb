/** `patchword jobs worker`: takes jobs from a store and does them. */
import { Console, Duration, Effect, Layer, Option, Redacted } from "effect"
import { Command, Flag } from "effect/cli"
import * as JobStore from "../../../jobs/JobStore.ts"
import * as Worker from "../../../jobs/Worker.ts"
import * as Described from "../../flags/Described.ts"
import * as Flags from "../../flags/Flags.ts"
import * as StoreFlags from "../../flags/StoreFlags.ts"
import * as Failure from "../../terminal/Failure.ts"
import type { Root } from "../help.ts"
import * as CommandRun from "./CommandRun.ts"

/** The command, for the verbs of the program. */
export const worker = (root: () => Root) =>
  Command.make("worker", {
    store: StoreFlags.store,
    engines: Flag.String("engines").pipe(
      Described.withDefault(
        "the engines that it offers, for example onnx,xla; patchword engines lists them",
        "onnx,reference"
      ),
      Flag.map(Flags.names)
    ),
    gpu: Described.flag("gpu", "it offers a GPU"),
    memoryOffered: Flag.Finite("memory-offered").pipe(
      Flag.filter((memory) => memory > 0, () => "more than 0"),
      Described.optional("the memory that it offers, in GiB", "that of the machine")
    ),
    host: Flag.String("host").pipe(
      Described.optional("the name or address by which other workers reach this machine", "its host name")
    ),
    port: Flag.Int("port").pipe(
      Flag.filter((port) => port >= 1 && port <= 65_535, () => "1 to 65535"),
      Described.optional("the port on which it listens for them", "a free one")
    ),
    lease: Flag.Finite("lease").pipe(
      Flag.filter((seconds) => seconds >= 3, () => "3 or more"),
      Described.withDefault("seconds after which a worker that hangs has lost its job", Worker.LEASE)
    )
  }, (given) =>
    Effect.gen(function*() {
      const place = yield* StoreFlags.place(given.store)
      const kept = <K extends string, A>(key: K, value: Option.Option<A>) =>
        Option.match(value, { onNone: () => ({}), onSome: (one) => ({ [key]: one }) }) as { readonly [P in K]?: A }
      const options: Worker.Options = {
        offer: {
          engines: given.engines,
          gpu: given.gpu,
          memoryGiB: Option.getOrElse(given.memoryOffered, () => Worker.memoryGiB)
        },
        lease: Duration.seconds(given.lease),
        ...kept("host", given.host),
        ...kept("port", given.port),
        say: (text) => Console.log(text)
      }
      return yield* Effect.scoped(Effect.gen(function*() {
        yield* Layer.build(
          Worker.layer([CommandRun.make(root)], options).pipe(Layer.provide(JobStore.layer(place, { own: true })))
        )
        yield* Console.log(`worker of ${JobStore.show(Redacted.value(place))}: waits for jobs`)
        return yield* Effect.never
      }))
    }).pipe(Failure.mapErrors)).pipe(
      Command.withDescription("take jobs that fit this machine from a store, one at a time, until Ctrl-C"),
      Command.withExamples([
        { command: "patchword jobs worker --store runs/store" },
        { command: "patchword jobs worker --store postgres://me@db/jobs --engines onnx,xla --gpu" }
      ])
    )
