import fc from "fast-check"

const FEW = 12
const STOPS = Number(process.env["PATCHWORD_STOPS"] ?? 4)

export const stopsOf = (calls: number): ReadonlyArray<number> => {
  const all = Array.from({ length: calls }, (_, stop) => stop)
  const minLength = Math.min(calls, STOPS)
  return calls <= FEW
    ? all
    : fc.sample(fc.shuffledSubarray(all, { minLength, maxLength: minLength }), { seed: 1, numRuns: 1 })[0]!
}
