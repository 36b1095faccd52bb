/**
 * Serves PGlite on a socket. PGlite has one session, and its connections share it. So a statement and a transaction have it to
 * themselves: between their messages no other connection is heard.
 */
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import { Array as Arr, Effect, Semaphore } from "effect"
import type * as Socket from "effect/socket/Socket"

/** What is used of PGlite. */
export interface Session {
  readonly isInTransaction: () => boolean
  readonly execProtocolRawStream: (
    message: Uint8Array,
    options: { readonly onRawData: (data: Uint8Array) => void }
  ) => Promise<void>
  readonly exec: (sql: string) => Promise<unknown>
}

// Codes of the first message of a connection, in place of a version of the protocol.
const CANCEL = 80877102
const ENCRYPTIONS = new Set([80877103, 80877104])
const NO = new TextEncoder().encode("N")

const SYNC = 0x53
const QUERY = 0x51
const TERMINATE = 0x58

/** Returns the length of the first message of some bytes, if they hold all of it. Only the first of a connection has no type. */
const lengthOf = (bytes: Uint8Array, isFirst: boolean): number | undefined => {
  const at = isFirst ? 0 : 1
  if (bytes.length < at + 4) return undefined
  const length = at + new DataView(bytes.buffer, bytes.byteOffset).getUint32(at)
  return length <= bytes.length ? length : undefined
}

/** Serves one connection until it ends. */
const connection = Effect.fnUntraced(function*(session: Session, turns: Semaphore.Semaphore, socket: Socket.Socket) {
  const { pull } = yield* socket.reader
  const { write, writeAll } = yield* socket.writer
  let isFirst = true
  let hasTurn = false
  let bytes = new Uint8Array(0)

  const begin = Effect.uninterruptibleMask((restore) =>
    Effect.map(hasTurn ? Effect.void : restore(turns.take(1)), () => {
      hasTurn = true
    })
  )
  const end = Effect.suspend(() => {
    if (!hasTurn) return Effect.void
    hasTurn = false
    return turns.release(1)
  })
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() =>
      hasTurn && session.isInTransaction() ? Effect.promise(() => session.exec("ROLLBACK")) : Effect.void
    ).pipe(Effect.andThen(end))
  )

  const answer = (message: Uint8Array) =>
    Effect.promise(async () => {
      const parts: Array<Uint8Array> = []
      await session.execProtocolRawStream(message, { onRawData: (data) => parts.push(data.slice()) })
      return parts
    }).pipe(Effect.uninterruptible)

  /** Answers a message, and returns whether the connection goes on. */
  const heard = Effect.fnUntraced(function*(message: Uint8Array) {
    if (isFirst) {
      const code = new DataView(message.buffer, message.byteOffset).getUint32(4)
      if (code === CANCEL) return false
      if (ENCRYPTIONS.has(code)) {
        yield* write(NO)
        return true
      }
    } else if (message[0] === TERMINATE) return false
    yield* begin
    const parts = yield* answer(message)
    const isLast = isFirst || message[0] === SYNC || message[0] === QUERY
    isFirst = false
    if (isLast && !session.isInTransaction()) yield* end
    if (Arr.isArrayNonEmpty(parts)) yield* writeAll(parts)
    return true
  })

  while (true) {
    for (const part of yield* pull) {
      bytes = Buffer.concat([bytes, typeof part === "string" ? new TextEncoder().encode(part) : part])
    }
    let length = lengthOf(bytes, isFirst)
    while (length !== undefined) {
      const message = bytes.slice(0, length)
      bytes = bytes.subarray(length)
      if (!(yield* heard(message))) return
      length = lengthOf(bytes, isFirst)
    }
  }
}, Effect.scoped)

/** Listens on a socket until the scope ends. */
export const serve = Effect.fnUntraced(function*(session: Session, path: string) {
  const server = yield* NodeSocketServer.make({ path })
  const turns = yield* Semaphore.make(1)
  // A connection that breaks off is the matter of who made it.
  yield* Effect.forkScoped(server.run((socket) => Effect.ignore(connection(session, turns, socket))))
})
