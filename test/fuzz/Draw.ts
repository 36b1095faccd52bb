/** Draws of a fuzzing case. The seed, the reader and the number of the case determine all of them. */
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"

export interface Draw {
  /** An integer from 0 to `n - 1`. */
  readonly below: (n: number) => number
  readonly chance: (share: number) => boolean
  readonly of: <A>(choices: ReadonlyArray<A>) => A
  readonly bytes: (length: number) => Uint8Array
}

export const make = (seed: number, reader: string, index: number): Draw => {
  const random = KeyedRandom.generator({ seed, purpose: `fuzz ${reader}`, epoch: 0, index })
  const below = (n: number): number => n <= 1 ? 0 : random.integer(0, n - 1)
  return {
    below,
    chance: (share) => random.uniform() < share,
    of: (choices) => choices[below(choices.length)]!,
    bytes: (length) => Uint8Array.from({ length }, () => below(256))
  }
}
