import { assert, describe, it } from "@effect/vitest"
import { watched } from "../../benchmarks/eventLoop.ts"

const processor = () => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1000
}

const busilyWork = (milliseconds: number) => {
  const end = processor() + milliseconds
  while (processor() < end);
}

describe("the watch of the event loop", () => {
  it("finds the work that keeps it, by its function, and no waiting", async () => {
    const [lag, value] = await watched(20, async () => {
      busilyWork(60)
      await new Promise((done) => setTimeout(done, 50))
      for (let turn = 0; turn < 4; turn++) {
        busilyWork(8)
        await new Promise((done) => setTimeout(done, 2))
      }
      return 7
    })
    assert.strictEqual(value, 7)
    assert.strictEqual(lag.over, 1)
    assert.isAtLeast(lag.largest, 59)
    assert.match(lag.worst[0]!.within, /busilyWork test\/repository\/EventLoop\.test\.ts:\d+/)
  })

  it("ends with the work that fails", async () => {
    const failed = watched(20, () => Promise.reject(new Error("no such work")))
    await failed.then(
      () => assert.fail("it succeeds"),
      (error: Error) => assert.strictEqual(error.message, "no such work")
    )
  })
})
