import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, readdirSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { checkout, commandOf } from "../repository/checkout.ts"

let folder: string

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0)
  await once(server, "listening")
  const address = server.address()
  await new Promise((closed) => server.close(closed))
  return typeof address === "object" && address !== null ? address.port : assert.fail("no port")
}

const stepsOf = async function*(response: Response) {
  let text = ""
  for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
    const events = (text + part).split("\n\n")
    text = events.pop()!
    for (const event of events) {
      const { step }: { readonly step: number } = JSON.parse(event.slice("data: ".length))
      yield step
    }
  }
}

describe("the server of the examples", () => {
  beforeAll(async () => {
    folder = await checkout(5000)
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it("streams a run, cancels it and resumes it where it was", async () => {
    const port = await freePort()
    const env = { ...process.env, PORT: String(port) }
    const child = spawn(commandOf("server.ts")!, { shell: true, cwd: folder, env, detached: true })
    try {
      await new Promise<void>((listening) =>
        child.stdout.on("data", (text) => String(text).includes("Listening") && listening())
      )
      const ask = (method: string) => fetch(`http://127.0.0.1:${port}/run`, { method })
      const steps: Array<number> = []
      const following = fetch(`http://127.0.0.1:${port}/progress`)
      assert.strictEqual((await ask("POST")).status, 202)
      for await (const step of stepsOf(await following)) {
        steps.push(step)
        if (step >= 10) break
      }
      assert.strictEqual((await ask("DELETE")).status, 204)
      assert.isNotEmpty(readdirSync(join(folder, "runs/server/checkpoints/tokenizer")))
      assert.isFalse(existsSync(join(folder, "runs/server/stages/tokenizer.safetensors")))
      const resumed = fetch(`http://127.0.0.1:${port}/progress`)
      assert.strictEqual((await ask("POST")).status, 202)
      for await (const step of stepsOf(await resumed)) {
        steps.push(step)
        if (step >= 20) break
      }
      assert.deepStrictEqual(steps, [...new Set(steps)].toSorted((a, b) => a - b))
    } finally {
      process.kill(-child.pid!, "SIGKILL")
    }
  }, 300_000)
})
