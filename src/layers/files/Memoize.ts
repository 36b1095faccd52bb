/**
 * Computes results once per key and shares them. It keeps the last `capacity` results. Failures are not kept, so the next
 * request tries again.
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
