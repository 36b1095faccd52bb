import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { ended, start } from "./child.ts"

const begun = async (saving: string, ...words: ReadonlyArray<string>) => {
  const child = start("test/e2e/signalsChild.ts", [saving, ...words])
  const end = ended(child)
  await once(child.stdout!, "data")
  return { child, end }
}

describe("signals", () => {
  it.concurrent.each([["SIGHUP", 129], ["SIGINT", 130], ["SIGTERM", 143]] as const)(
    "of kind %s end a program when it has saved, with %i",
    async (signal, code) => {
      const { child, end } = await begun("nothing", "pretrain", "--out", "my run's")
      child.kill(signal)
      assert.deepStrictEqual(await end, {
        code,
        signal: null,
        stdout: "begun\nsaving\nsaved\n",
        stderr: `${signal}: patchword stops at the next step, and keeps the steps that it has taken\n` +
          "this goes on: patchword pretrain --out 'my run'\\''s'\n"
      })
    }
  )

  it.concurrent("tell no password", async () => {
    const { child, end } = await begun("nothing", "jobs", "worker", "--store", "postgres://me:p@secret@db/jobs")
    child.kill("SIGTERM")
    const { stderr } = await end
    assert.include(stderr, "this goes on: patchword jobs worker --store 'postgres://me:***@db/jobs'")
  })

  it.concurrent("do not hide that a state could not be saved", async () => {
    const { child, end } = await begun("lost", "demo")
    child.kill("SIGTERM")
    const { code, stderr, stdout } = await end
    assert.deepStrictEqual([code, stdout], [74, "begun\nsaving\n"])
    assert.match(stderr, /the disk is full/)
    assert.notMatch(stderr, /^\s+at /m)
  })

  it.concurrent("that come twice at once are one", async () => {
    const { child, end } = await begun("soon", "knn")
    child.kill("SIGINT")
    await once(child.stdout!, "data")
    child.kill("SIGINT")
    child.kill("SIGTERM")
    assert.deepStrictEqual(await end, {
      code: 130,
      signal: null,
      stdout: "begun\nsaving\nsaved\n",
      stderr: "SIGINT: patchword stops after the images at hand\n"
    })
  })

  it.concurrent("that come again later end a program at once, which says so before", async () => {
    const { child, end } = await begun("never", "pretrain")
    child.kill("SIGINT")
    await once(child.stderr!, "data")
    const [told] = await once(child.stderr!, "data")
    assert.match(String(told), /^still at work\. Press Ctrl-C again to end at once; the steps since/)
    child.kill("SIGHUP")
    child.kill("SIGINT")
    const { signal, stdout } = await end
    assert.strictEqual(signal, "SIGINT")
    assert.strictEqual(stdout, "begun\nsaving\n")
  })

  it.concurrent.each([
    [["predict"], /^SIGTERM: patchword stops after the images/],
    [["tokenizer", "cache"], /^SIGTERM: .*keeps the features/],
    [["tokenizer", "train"], /^SIGTERM: .*keeps the steps/],
    [["tokenizer", "evaluate"], /^SIGTERM: patchword stops after the images/],
    [["decoder", "train"], /^SIGTERM: .*keeps the steps/],
    [["study", "table6"], /^SIGTERM: .*keeps the steps/],
    [["jobs", "worker"], /^SIGTERM: .*gives its job back/],
    [["jobs", "show", "3"], /^SIGTERM: patchword stops\n$/],
    [["jobs", "follow", "3"], /^SIGTERM: patchword stops\n$/],
    [["pull", "someone/beit"], /^SIGTERM: patchword stops\n$/]
  ])("speak of what %s keeps", async (words, said) => {
    const { child, end } = await begun("never", ...words)
    child.kill("SIGTERM")
    const [told] = await once(child.stderr!, "data")
    assert.match(String(told), said)
    child.kill("SIGKILL")
    await end
  })
})
