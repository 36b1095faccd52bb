/**
 * Results that are computed once per key and shared, the last `capacity` of them; failures are forgotten, so that asking
 * again tries again.
 */
import { Cache, Duration, Effect, Exit } from "effect"

export const memoize = <A, E>(
  compute: (key: string) => Effect.Effect<A, E>,
  capacity = Infinity
): Effect.Effect<(key: string) => Effect.Effect<A, E>> =>
  Effect.map(
    Cache.makeWith(compute, {
      capacity,
      timeToLive: (exit) => Exit.isSuccess(exit) ? Duration.infinity : Duration.zero
    }),
    (cache) => (key) => Cache.get(cache, key)
  )
