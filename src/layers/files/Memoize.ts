/**
 * Computes results once per key and shares them. It keeps the last `capacity` results, each for the time `kept`. Failures are not kept,
 * so the next request tries again. Keys of equal content are the same key. A computation has the services of the request that began it.
 */
import { Cache, Duration, Effect, Exit } from "effect"

export const memoize = <A, E, R, Key = string>(
  compute: (key: Key) => Effect.Effect<A, E, R>,
  capacity = Infinity,
  kept: Duration.Input = Duration.infinity
): Effect.Effect<(key: Key) => Effect.Effect<A, E, R>> =>
  Effect.map(
    Cache.makeWith<Key, A, E, R, "lookup">(compute, {
      capacity,
      timeToLive: (exit) => Exit.isSuccess(exit) ? kept : Duration.zero,
      requireServicesAt: "lookup"
    }),
    (cache) => (key) => Cache.get(cache, key)
  )
