import { Effect, Layer } from "effect"
import * as Signals from "../../src/cli/terminal/Signals.ts"
import { watching } from "../../src/laws/Interruption.ts"
import * as Files from "../../src/layers/files/Files.ts"
import { watched } from "./crashes.ts"
import type { Trap } from "./traps.ts"
import type { Operation } from "./watchedDisk.ts"
import { Around, machine, shards, works } from "./works.ts"

const [name, folder, given] = process.argv.slice(2)
const trap = JSON.parse(given!) as Trap | null
const work = [...works, shards].find((one) => one.name === name)!

let met = 0
const end = (place: string) => {
  if (trap === null || place !== trap.place || ++met !== trap.nth) return
  process.stdout.write(`${place}\n`)
  process.kill(process.pid, trap.signal)
}

const before = ({ kind }: Operation) =>
  Effect.suspend(() => {
    end(`before ${kind}`)
    // The operation is at work in another thread then.
    if (trap?.place === `in ${kind}`) setImmediate(() => end(`in ${kind}`))
    return Effect.void
  })

const around = <A, E, R>(point: string, self: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    end(`before ${point}`)
    if (trap?.place === `in ${point}`) setImmediate(() => end(`in ${point}`))
    return self
  })

const services = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.flatMap(watching(around), (watch) => watch(self))

watched({ before, after: ({ kind }) => end(`after ${kind}`) }, work.run(folder!)).pipe(
  Effect.provideService(Around, services as never),
  Effect.provide(Layer.merge(machine, Files.layerNode)),
  Signals.runMain([name === "cache" || name === "atlas" ? name : "pretrain"])
)
