/** Noise as in ImageNet-C. Each value of an image is drawn by itself. */
import type { Picture } from "../pixels/Picture.ts"
import type { Generator } from "../values/KeyedRandom.ts"
import * as Severity from "./Severity.ts"
import * as UnitValues from "./UnitValues.ts"

/** Adds normal noise. */
export const gaussian = (picture: Picture, severity: Severity.Severity, { normal }: Generator): Picture => {
  const deviation = Severity.pick([0.08, 0.12, 0.18, 0.26, 0.38], severity)
  return UnitValues.map(picture, (value) => value + deviation * normal())
}

/** Adds normal noise in proportion to each value. */
export const speckle = (picture: Picture, severity: Severity.Severity, { normal }: Generator): Picture => {
  const deviation = Severity.pick([0.15, 0.2, 0.35, 0.45, 0.6], severity)
  return UnitValues.map(picture, (value) => value + value * deviation * normal())
}

/** Draws a Poisson number: the first count whose cumulative probability exceeds a uniform number. */
export const poisson = (mean: number, { uniform }: Pick<Generator, "uniform">): number => {
  const drawn = uniform()
  let probability = Math.exp(-mean)
  let sum = probability
  let count = 0
  // Behind the mean, a probability too small to change the sum ends the search: rounding may keep the sum below the number.
  while (sum <= drawn && (count <= mean || sum + probability > sum)) {
    count += 1
    probability *= mean / count
    sum += probability
  }
  return count
}

/** Replaces each value by a Poisson count of light. */
export const shot = (picture: Picture, severity: Severity.Severity, draws: Generator): Picture => {
  const light = Severity.pick([60, 25, 12, 5, 3], severity)
  return UnitValues.map(picture, (value) => poisson(value * light, draws) / light)
}

/** Replaces a share of the values by 0 or 1. */
export const impulse = (picture: Picture, severity: Severity.Severity, { uniform }: Generator): Picture => {
  const share = Severity.pick([0.03, 0.06, 0.09, 0.17, 0.27], severity)
  return UnitValues.map(picture, (value) => {
    if (uniform() >= share) return value
    return uniform() < 0.5 ? 1 : 0
  })
}
