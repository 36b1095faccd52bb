import { Deferred, Effect } from "effect"
import type { Ranks } from "../../src/layers/ranks/Ranks.ts"
import * as ThreadRanks from "../../src/layers/ranks/ThreadRanks.ts"

interface Meeting {
  readonly given: Array<Uint8Array>
  readonly all: Deferred.Deferred<void>
}

export const together = (size: number): ReadonlyArray<Ranks> => {
  const meetings: Array<Meeting> = []
  return ThreadRanks.origins(size).map((collectives, rank) => {
    let calls = 0
    const meet = Effect.fnUntraced(function*(bytes: Uint8Array) {
      const { all, given } = meetings[calls++] ??= { given: [], all: Deferred.makeUnsafe<void>() }
      given[rank] = bytes.slice()
      if (Object.keys(given).length === size) yield* Deferred.succeed(all, undefined)
      yield* Deferred.await(all)
      return given
    })
    return {
      rank,
      size,
      local: size,
      ...(size > 1 && { collectives }),
      allReduce: () => Effect.die(new Error("not used")),
      barrier: Effect.asVoid(meet(new Uint8Array(0))),
      broadcast: (bytes) => Effect.map(meet(bytes), ([first]) => bytes.set(first!))
    }
  })
}
