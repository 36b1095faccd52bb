import { describe, it, layer as withLayer, type Vitest } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { PYTHON } from "../../../scripts/moto.ts"
import { serve } from "./s3Server.ts"

export class Endpoint extends Context.Service<Endpoint, {
  readonly endpoint: string
  readonly large: boolean
}>()("test/Endpoint") {}

interface Candidate {
  readonly name: string
  readonly layer: Layer.Layer<Endpoint>
  readonly missing?: string
}

const motoServer = Effect.acquireRelease(
  Effect.promise(async () => {
    const child = spawn(PYTHON, ["-m", "moto.server", "--host", "127.0.0.1", "--port", "0"], {
      stdio: ["ignore", "ignore", "pipe"]
    })
    const endpoint = await new Promise<string>((found, failed) => {
      let told = ""
      child.stderr.on("data", (part) => {
        told += String(part)
        const [, address] = /Running on (http:[\w.:/]+)/.exec(told) ?? []
        if (address !== undefined) found(address)
      })
      child.once("exit", () => failed(new Error(`moto ended: ${told}`)))
    })
    const { status } = await fetch(`${endpoint}/bucket`, { method: "PUT" })
    if (status !== 200) throw new Error(`moto made no bucket (${status})`)
    return { child, endpoint }
  }),
  ({ child }) =>
    Effect.promise(async () => {
      const ended = once(child, "exit")
      child.kill()
      await ended
    })
)

const place = process.env["PATCHWORD_S3_ENDPOINT"]

const own: Candidate = {
  name: "a server of the tests",
  layer: Layer.effect(Endpoint, Effect.map(serve, ({ endpoint }) => ({ endpoint, large: false })))
}

const moto: Candidate = {
  name: "moto",
  layer: Layer.effect(Endpoint, Effect.map(motoServer, ({ endpoint }) => ({ endpoint, large: true }))),
  ...(existsSync(PYTHON) ? {} : { missing: "not set up, see npm run setup:s3" })
}

export const motoIfThere = moto.missing === undefined ? moto.layer : own.layer

const candidates: ReadonlyArray<Candidate> = [
  own,
  moto,
  ...(place === undefined
    ? []
    : [{
      name: "the server at PATCHWORD_S3_ENDPOINT",
      layer: Layer.succeed(Endpoint, { endpoint: place, large: true })
    }])
]

export const onServers = (body: (it: Vitest.MethodsNonLive<Endpoint>) => void): void => {
  for (const { layer, missing, name } of candidates) {
    if (missing === undefined) describe(name, () => withLayer(layer, { excludeTestServices: true })(body))
    else {
      console.warn(`${name} is skipped: ${missing}`)
      describe(name, () => it.skip(missing, () => {}))
    }
  }
}
