import { Effect, FileSystem, Path } from "effect"
import { request } from "node:http"
import * as sample from "../e2e/sample.ts"

export const hostile = `<img src=x onerror=alert(1)>"'&`

export const row = (step: number) =>
  `${JSON.stringify({ stage: "tokenizer", step, loss: 1 / step, cosine: 1 - 1 / step, usage: 200 + (step % 50) })}\n`

export const rows = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => row(from + i)).join("")

const config = {
  tokenizer: { seed: 0, optimizer: { batchSize: 64, unit: "steps", duration: 300 } },
  [hostile]: hostile
}

const result = {
  verb: "probe",
  network: "pretrain",
  split: hostile,
  images: 200,
  classes: 8,
  top1: 0.45,
  interval: [0.38, 0.52],
  largestClass: 0.2,
  digests: { weights: "a", train: "b", images: "c" },
  settings: { config: {} },
  computedOn: { engine: "onnx cpu", version: "1", threads: 2, precision: "fp32" },
  patchword: "0.1.0"
}

export const makeRun = Effect.fnUntraced(function*(folder: string, steps = 200) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const write = (name: string, content: unknown) =>
    fs.writeFileString(path.join(folder, name), typeof content === "string" ? content : JSON.stringify(content))
  yield* fs.makeDirectory(path.join(folder, "stages"), { recursive: true })
  yield* fs.makeDirectory(path.join(folder, "results"))
  yield* fs.makeDirectory(path.join(folder, "atlas"))
  yield* write("config.json", config)
  yield* write("environment.json", { node: "v22", platform: hostile, computedOn: [result.computedOn] })
  yield* write("log.jsonl", rows(1, steps))
  yield* write("report.json", { ...sample.report })
  yield* write("report.html", "<!doctype html><title>report</title>")
  yield* write("results/probe-val-1.json", result)
  yield* write("atlas/sprite-0.png", "picture")
  yield* write("atlas/page.html", "<script>alert(1)</script>")
  yield* write("atlas/.hidden.png", "hidden")
  yield* write("secret.txt", "secret")
  return folder
})

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly text: string
}

/** Sends a path as it is. `fetch` would clean it. */
export const ask = (
  address: string,
  path: string,
  given: { readonly method?: string; readonly headers?: Readonly<Record<string, string>>; readonly body?: string } = {}
): Effect.Effect<Answer> =>
  Effect.callback((resume) => {
    const { hostname, port } = new URL(address)
    const sent = request(
      { hostname, port, path, method: given.method ?? "GET", headers: given.headers ?? {}, agent: false },
      (response) => {
        const chunks: Array<Buffer> = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("end", () =>
          resume(Effect.succeed({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString("utf8")
          })))
      }
    )
    sent.on("error", (error) => resume(Effect.die(error)))
    sent.end(given.body)
  })
