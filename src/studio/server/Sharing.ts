/** Shares one stream among many readers. One who comes later first gets what the earlier ones got, in short. */
import { type Cause, Effect, Exit, Queue, type Scope, Stream } from "effect"

/** What is remembered of a stream for those who come later. */
export interface Memory<A> {
  readonly learn: (value: A) => void
  /** Returns values that tell the same as all that were learned. */
  readonly known: () => ReadonlyArray<A>
}

/** The most values that wait for a reader. One who reads no longer is let go, and can come again. */
const WAITING = 256

/** Runs a stream while the scope lives, and returns the stream for a reader. */
export const make = Effect.fnUntraced(function*<A, E, R>(
  stream: Stream.Stream<A, E, R>,
  memory: Memory<A>
): Effect.fn.Return<Stream.Stream<A, E>, never, R | Scope.Scope> {
  const { known, learn } = memory
  const readers = new Set<Queue.Queue<A, E | Cause.Done>>()
  let ended: Exit.Exit<void, E> | undefined
  const end = (reader: Queue.Queue<A, E | Cause.Done>, exit: Exit.Exit<void, E>): void => {
    readers.delete(reader)
    if (Exit.isFailure(exit)) Queue.failCauseUnsafe(reader, exit.cause)
    else Queue.endUnsafe(reader)
  }
  yield* stream.pipe(
    Stream.runForEach((value) =>
      Effect.sync(() => {
        learn(value)
        for (const reader of readers) if (!Queue.offerUnsafe(reader, value)) end(reader, Exit.void)
      })
    ),
    Effect.onExit((exit) =>
      Effect.sync(() => {
        ended = exit
        for (const reader of readers) end(reader, exit)
      })
    ),
    Effect.forkScoped
  )
  const enter = Effect.map(Queue.dropping<A, E | Cause.Done>(WAITING), (reader) => {
    Queue.offerAllUnsafe(reader, known())
    if (ended === undefined) readers.add(reader)
    else end(reader, ended)
    return reader
  })
  const leave = (reader: Queue.Queue<A, E | Cause.Done>) =>
    Effect.andThen(Effect.sync(() => readers.delete(reader)), Queue.shutdown(reader))
  return Stream.unwrap(Effect.map(Effect.acquireRelease(enter, leave), Stream.fromQueue))
})
