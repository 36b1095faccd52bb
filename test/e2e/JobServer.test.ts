import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { buffer } from "node:stream/consumers"
import sharp from "sharp"
import { pack } from "tar-stream"
import * as Job from "../../src/jobs/Job.ts"
import { freePort } from "../jobs/postgres.ts"
import { checkout, commandOf } from "../repository/checkout.ts"

let folder: string

const archive = async (): Promise<Buffer> => {
  const made = pack()
  for (let index = 0; index < 16; index++) {
    const data = Uint8Array.from({ length: 48 * 48 * 3 }, (_, i) => (i * (index + 3)) % 256)
    made.entry(
      { name: `${index}.png` },
      await sharp(data, { raw: { width: 48, height: 48, channels: 3 } }).png().toBuffer()
    )
  }
  made.finalize()
  return await buffer(made)
}

const jobsOf = async function*(response: Response) {
  let text = ""
  for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
    const events = (text + part).split("\n\n")
    text = events.pop()!
    for (const event of events) yield JSON.parse(event.slice("data: ".length)) as Job.Job
  }
}

describe("the server of jobs", () => {
  beforeAll(async () => {
    folder = await checkout(5000)
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it("takes images, does a run on them, cancels it, and goes on with it after it was killed", async () => {
    const port = await freePort()
    const begun = async () => {
      const env = { ...process.env, PORT: String(port) }
      const child = spawn(commandOf("jobServer.ts")!, { shell: true, cwd: folder, env, detached: true })
      let told = ""
      await new Promise<void>((listening, failed) => {
        child.stderr.on("data", (text) => (told += String(text)))
        child.stdout.on("data", (text) => String(text).includes(`:${port}`) && listening())
        child.on("exit", () => failed(new Error(told)))
      })
      return async (signal: NodeJS.Signals) => {
        const exit = once(child, "exit")
        process.kill(-child.pid!, signal)
        await exit
      }
    }
    const ask = (method: string, path: string, body?: Buffer) =>
      fetch(`http://127.0.0.1:${port}${path}`, { method, ...(body && { body: new Uint8Array(body) }) })
    const statusOf = async (method: string, path: string, body?: Buffer) => (await ask(method, path, body)).status
    const stepsUntil = async (enough: (step: number) => boolean) => {
      for await (const { progress, state } of jobsOf(await ask("GET", "/jobs/1"))) {
        if (progress !== null && progress.stage === "tokenizer" && enough(progress.step)) return progress.step
        assert.notInclude(Job.ENDED, state)
      }
      return assert.fail("no such step")
    }
    let end = await begun()
    try {
      assert.strictEqual(await statusOf("POST", "/jobs/noise"), 404)
      assert.strictEqual(await statusOf("PUT", "/data/noise", await archive()), 201)
      assert.strictEqual(await statusOf("PUT", "/data/noise", await archive()), 409)
      assert.deepStrictEqual(await (await ask("POST", "/jobs/noise")).json(), { job: 1 })
      await stepsUntil((step) => step >= 3)
      assert.strictEqual(await statusOf("DELETE", "/jobs/1"), 200)
      const states: Array<string> = []
      for await (const { state } of jobsOf(await ask("GET", "/jobs/1"))) states.push(state)
      assert.strictEqual(states.at(-1), "cancelled")
      assert.strictEqual(await statusOf("DELETE", "/jobs/1"), 409)
      assert.strictEqual(await statusOf("DELETE", "/jobs/2"), 404)
      assert.isNotEmpty(readdirSync(join(folder, "runs/noise/checkpoints/tokenizer")))
      assert.isFalse(existsSync(join(folder, "runs/noise/stages/tokenizer.safetensors")))
      assert.strictEqual(await statusOf("PUT", "/jobs/1"), 200)
      const before = await stepsUntil((step) => step >= 6)
      await end("SIGKILL")
      end = await begun()
      assert.isAbove(await stepsUntil((step) => step > before), before)
    } finally {
      await end("SIGKILL")
    }
  }, 120_000)
})
