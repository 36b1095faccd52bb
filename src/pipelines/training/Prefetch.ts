/** Makes batches ahead of their use. */
import { type Cause, Effect, Fiber, Queue, Stream } from "effect"

/**
 * Runs `make` for each step from `first` to `last`, and returns the results in order. While one result is used, the next two
 * are made at the same time: the tokenizer encodes one batch while the images of the other are decoded. Later ones are not
 * started. All of them stop when the stream ends.
 */
export const prefetch = <A, E, R>(
  first: number,
  last: number,
  make: (step: number) => Effect.Effect<A, E, R>
): Stream.Stream<A, E, R> =>
  Stream.unwrap(Effect.gen(function*() {
    const scope = yield* Effect.scope
    // One waits here, and one for room.
    const begun = yield* Queue.bounded<Fiber.Fiber<A, E>, Cause.Done>(1)
    const begin = (step: number) =>
      Effect.flatMap(Effect.forkIn(make(step), scope), (fiber) => Queue.offer(begun, fiber))
    yield* Effect.forEach(Array.from({ length: last - first + 1 }, (_, i) => first + i), begin, { discard: true }).pipe(
      Effect.andThen(Queue.end(begun)),
      Effect.forkIn(scope)
    )
    return Stream.mapEffect(Stream.fromEffectRepeat(Queue.take(begun)), Fiber.join)
  }))
