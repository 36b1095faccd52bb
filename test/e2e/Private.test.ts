import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { ended } from "./child.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

const planted = {
  HF_TOKEN: "hf_PlantedTokenOfTheTestAbc",
  GITHUB_TOKEN: "ghp_PlantedTokenOfTheTestAbc",
  AWS_SECRET_ACCESS_KEY: "planted-secret-access-key",
  HTTPS_PROXY: "http://me:planted-password@127.0.0.1:9",
  HF_ENDPOINT: "http://me:planted-password@127.0.0.1:9",
  DATABASE_URL: "postgres://me:planted-password@127.0.0.1/db"
}

const SECRETS = /PlantedTokenOfTheTest|planted-secret-access-key|planted-password/

const offline = (asked: string, ...args: ReadonlyArray<string>) =>
  ended(
    spawn(process.execPath, [
      "--disable-warning=ExperimentalWarning",
      "--import",
      join(root, "test/e2e/offline.ts"),
      ...args
    ], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...planted, PATCHWORD_TEST_ASKED: asked }
    })
  )

const told = (asked: string) => readFileSync(asked, "utf8").trim().split("\n")

describe("a run", () => {
  it("asks nobody over the network, and keeps no secret of its environment", async () => {
    const folder = mkdtempSync(join(tmpdir(), "patchword-private-"))
    try {
      const [control, asked, run] = ["control", "asked", "run"].map((name) => join(folder, name)) as [
        string,
        string,
        string
      ]
      const connecting = "try { require('node:net').connect(9) } catch { try { fetch('http://127.0.0.1:9') } catch {} }"
      await offline(control, "-e", connecting)
      assert.deepStrictEqual(told(control), ["ready", "connect", "fetch"])

      const { code, stderr, stdout } = await offline(asked, "test/e2e/resumeChild.ts", run, "onnx", "2", "4")
      assert.strictEqual(code, 0, stderr)
      assert.deepStrictEqual([...new Set(told(asked))], ["ready"])
      const files = readdirSync(run, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      assert.includeMembers(files.map(({ name }) => name), ["environment.json", "log.jsonl", "config.json"])
      for (const { name, parentPath } of files) {
        assert.notMatch(readFileSync(join(parentPath, name), "latin1"), SECRETS, name)
      }
      assert.notMatch(stdout + stderr, SECRETS)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }, 300_000)
})
