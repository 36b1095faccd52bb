/** Batches made while those before them are used. */
import { type Cause, Effect, Fiber, Queue, Stream } from "effect"

/**
 * What `make` gives for each step from `first` to `last`, in order. The next two are made while one is used, both at once:
 * while the tokenizer sees one batch, the images of the other are decoded. Further ones are not begun, and none goes on
 * when nobody is there to use it any more.
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
