import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll } from "vitest"
import { ended, start } from "./child.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-output-"))
const child = fileURLToPath(new URL("outputChild.ts", import.meta.url))

describe("the output", () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.concurrent("ends a program quietly, and whole, when nobody reads it", async () => {
    const file = join(folder, "closed")
    const running = start(child, [file])
    running.stdout!.once("data", () => running.stdout!.destroy())
    const errors: Array<Buffer> = []
    running.stderr!.on("data", (chunk: Buffer) => errors.push(chunk))
    const [code] = await once(running, "exit")
    assert.strictEqual(Buffer.concat(errors).toString(), "")
    assert.strictEqual(code, 141)
    assert.strictEqual(readFileSync(file, "utf8"), "ended")
  })

  it.concurrent.each(["/dev/full"].filter((place) => existsSync(place)))(
    "says why %s cannot be written",
    async (place) => {
      const file = join(folder, "full")
      const running = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", child, file], {
        stdio: ["ignore", openSync(place, "w"), "pipe"]
      })
      const errors: Array<Buffer> = []
      running.stderr!.on("data", (chunk: Buffer) => errors.push(chunk))
      const [code] = await once(running, "exit")
      const text = Buffer.concat(errors).toString()
      assert.strictEqual(code, 74, text)
      assert.include(text, "the output cannot be written (ENOSPC")
      assert.notMatch(text, /^\s+at /m)
      assert.strictEqual(readFileSync(file, "utf8"), "ended")
    }
  )

  it.concurrent("is for results alone, what is wrong with a command line goes elsewhere", async () => {
    const { code, stderr, stdout } = await ended(start("src/cli/bin.ts", ["knn", "run", "--check", "all"]))
    assert.strictEqual(code, 64)
    assert.strictEqual(stdout, "")
    assert.include(stderr, "--check")
    assert.include(stderr, "patchword help knn")
  })
})
