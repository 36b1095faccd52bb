import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import { once } from "node:events"
import { createConnection } from "node:net"
import * as PgliteServer from "../../src/jobs/PgliteServer.ts"

const message = (type: string, text = ""): Buffer => {
  const body = Buffer.from(text)
  const head = Buffer.alloc(5)
  head.write(type, 0)
  head.writeUInt32BE(4 + body.length, 1)
  return Buffer.concat([head, body])
}

const startup = Buffer.from([0, 0, 0, 8, 0, 3, 0, 0])

const session = () => {
  const heard: Array<string> = []
  let isInTransaction = false
  return {
    heard,
    isInTransaction: () => isInTransaction,
    execProtocolRawStream: async (bytes: Uint8Array, { onRawData }: { onRawData: (data: Uint8Array) => void }) => {
      const text = bytes[0] === 0 ? "startup" : Buffer.from(bytes).toString().replaceAll(/[^\w ]/g, "")
      heard.push(text)
      if (text.includes("begin")) isInTransaction = true
      if (text.includes("commit")) isInTransaction = false
      await new Promise((done) => setImmediate(done))
      if (bytes[0] !== "P".charCodeAt(0)) onRawData(Buffer.from("."))
    },
    exec: async (sql: string) => {
      heard.push(sql)
      isInTransaction = false
    }
  }
}

const withServer = <A>(use: (path: string, of: ReturnType<typeof session>) => Promise<A>) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = `${yield* fs.makeTempDirectoryScoped()}/socket`
    const of = session()
    yield* PgliteServer.serve(of, path)
    return yield* Effect.promise(() => use(path, of))
  }).pipe(Effect.scoped, Effect.provide(Layer.mergeAll(NodeServices.layer)))

const connected = async (path: string) => {
  const socket = createConnection(path)
  const answers = async (count: number) => {
    let seen = 0
    while (seen < count) seen += ((await once(socket, "data"))[0] as Buffer).length
  }
  const ask = async (count: number, ...parts: ReadonlyArray<Buffer>) => {
    const answered = answers(count)
    socket.write(Buffer.concat(parts))
    await answered
  }
  await once(socket, "connect")
  await ask(1, startup)
  return { socket, ask }
}

describe("the server of a folder's database", () => {
  it.live("hears a statement to its end before it hears another connection", () =>
    withServer(async (path, { heard }) => {
      const [one, two] = [await connected(path), await connected(path)]
      one.socket.write(Buffer.concat([message("P", "one")]))
      while (!heard.includes("Pone")) await new Promise((done) => setImmediate(done))
      const other = two.ask(2, message("P", "two"), message("B", "two"), message("S"))
      await one.ask(2, message("B", "one"), message("S"))
      await other
      assert.deepStrictEqual(heard, ["startup", "startup", "Pone", "Bone", "S", "Ptwo", "Btwo", "S"])
    }))

  it.live("gives a transaction the database alone, and ends it with its connection", () =>
    withServer(async (path, { heard }) => {
      const [one, two, three] = [await connected(path), await connected(path), await connected(path)]
      await one.ask(1, message("Q", "begin 1"))
      const second = two.ask(1, message("Q", "begin 2"))
      await one.ask(1, message("Q", "commit 1"))
      await second
      const third = three.ask(1, message("Q", "3"))
      two.socket.destroy()
      await third
      assert.deepStrictEqual(heard.slice(3), ["Qbegin 1", "Qcommit 1", "Qbegin 2", "ROLLBACK", "Q3"])
    }))

  it.live("takes messages in any parts, answers that nothing is encrypted, and ends when asked to", () =>
    withServer(async (path, { heard }) => {
      const socket = createConnection(path)
      const asked = Buffer.alloc(8)
      asked.writeUInt32BE(8)
      asked.writeUInt32BE(80877103, 4)
      socket.write(asked)
      assert.strictEqual(String((await once(socket, "data"))[0]), "N")
      for (const byte of Buffer.concat([startup, message("Q", "select")])) {
        socket.write(Buffer.of(byte))
        await new Promise((done) => setImmediate(done))
      }
      while (!heard.includes("Qselect")) await once(socket, "data")
      socket.write(message("X"))
      socket.resume()
      await once(socket, "end")
      assert.deepStrictEqual(heard, ["startup", "Qselect"])
    }))
})
