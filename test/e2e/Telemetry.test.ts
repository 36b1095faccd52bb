import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { exec } from "node:child_process"
import { once } from "node:events"
import { rmSync } from "node:fs"
import { createServer } from "node:http"
import { promisify } from "node:util"
import { checkout, commandOf } from "../repository/checkout.ts"

let folder: string

const collector = async () => {
  const received: Record<string, string> = {}
  const server = createServer((request, response) => {
    let body = ""
    request.setEncoding("utf8").on("data", (part) => (body += part)).on("end", () => {
      received[request.url!] = (received[request.url!] ?? "") + body
      response.setHeader("content-type", "application/json").end("{}")
    })
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  const url = typeof address === "object" && address !== null
    ? `http://127.0.0.1:${address.port}`
    : assert.fail("no port")
  return { received, server, url }
}

describe("the example of telemetry", () => {
  beforeAll(async () => {
    folder = await checkout(20)
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it("sends spans and metrics to a collector", async () => {
    const { received, server, url } = await collector()
    await promisify(exec)(commandOf("telemetry.ts")!, {
      cwd: folder,
      env: { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: url }
    }).finally(() => server.close())
    const { "/v1/metrics": metrics, "/v1/traces": traces } = received
    for (const name of ["trainTokenizer", "train", "train.save", "Checkpoints.save", "Images.load"]) {
      assert.include(traces, `"name":"patchword.${name}"`)
    }
    assert.include(traces, `{"key":"patchword.images","value":{"intValue":`)
    for (const name of ["steps", "images", "images_per_second", "loss", "data_wait", "batches", "engine.memory"]) {
      assert.include(metrics, `"name":"patchword.training.${name}"`)
    }
    assert.include(metrics, `{"key":"patchword.stage","value":{"stringValue":"tokenizer"}}`)
  }, 120_000)
})
