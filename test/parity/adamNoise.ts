import { leavesOf } from "./fixture.ts"

/**
 * AdamW divides a gradient by its own size, so that an element whose gradient is not larger than the rounding errors in it
 * moves by a share of the learning rate that those errors decide. This is how far they move each element of a parameter
 * over some steps: what an error of `noise` times the gradient's root mean square changes in each update, added up.
 *
 * `noise` is measured: the greatest error of the official code's own float32 run against its float64 run.
 */
export const reach = (
  states: ReadonlyArray<{ readonly first: object; readonly second: object }>,
  { betas: [beta1, beta2], eps, noise, rates, scale = () => 1 }: {
    readonly betas: readonly [number, number]
    readonly eps: number
    readonly noise: number
    readonly rates: ReadonlyArray<number>
    readonly scale?: (path: string) => number
  }
) => {
  const moments = states.map(({ first, second }) => ({ first: leavesOf(first), second: leavesOf(second) }))
  return (path: string): ReadonlyArray<number> => {
    const length = moments[0]!.first.get(path)!.data.length
    const reached = Array.from({ length }, () => 0)
    for (const [at, before] of moments.slice(0, -1).entries()) {
      const [m0, v0] = [before.first.get(path)!.data, before.second.get(path)!.data]
      const m1 = moments[at + 1]!.first.get(path)!.data
      const gradient = Array.from(m1, (m, i) => (m - beta1 * m0[i]!) / (1 - beta1))
      const error = noise * Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0) / length)
      const [short1, short2] = [1 - beta1 ** (at + 1), 1 - beta2 ** (at + 1)]
      const direction = (i: number, g: number) =>
        (beta1 * m0[i]! + (1 - beta1) * g) / short1 /
        (Math.sqrt((beta2 * v0[i]! + (1 - beta2) * g * g) / short2) + eps)
      const rate = rates[at]! * scale(path)
      for (const [i, g] of gradient.entries()) {
        const here = direction(i, g)
        const moved = [g - error, g + error].map((other) => Math.abs(direction(i, other) - here))
        reached[i]! += rate * Math.max(...moved)
      }
    }
    return reached
  }
}
