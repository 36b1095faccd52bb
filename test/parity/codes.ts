/** A code that is not the reference's: which vector, both codes, and by how much the second nearest is farther. */
export interface Difference {
  readonly vector: number
  readonly ours: number
  readonly reference: number
  readonly margin: number
}

export interface Comparison {
  /** How many vectors have two nearest codes that are nearer to each other than `NEAR`. */
  readonly near: number
  /** Those of them whose code is the other one. */
  readonly excused: ReadonlyArray<Difference>
  /** Every other difference. */
  readonly wrong: ReadonlyArray<Difference>
}

/** Where the squares of the two smallest distances differ by less, either code is right. */
export const NEAR = 1e-6

/** Compares the codes of vectors on the unit sphere with those of a reference. */
export const compare = (
  ours: ArrayLike<number>,
  reference: ArrayLike<number>,
  { codebook, unit, width }: {
    readonly unit: ArrayLike<number>
    readonly codebook: ArrayLike<number>
    readonly width: number
  }
): Comparison => {
  const count = unit.length / width
  if (ours.length !== count || reference.length !== count) {
    throw new RangeError(`${count} vectors have ${ours.length} codes, and ${reference.length} in the reference`)
  }
  let near = 0
  const differences: Array<Difference> = []
  for (let vector = 0; vector < count; vector++) {
    const { margin } = nearest(unit, codebook, width, vector)
    if (margin < NEAR) near++
    if (ours[vector] !== reference[vector]) {
      differences.push({ vector, ours: ours[vector]!, reference: reference[vector]!, margin })
    }
  }
  return {
    near,
    excused: differences.filter(({ margin }) => margin < NEAR),
    wrong: differences.filter(({ margin }) => !(margin < NEAR))
  }
}

/** The code of one vector in 64 bits, the lowest on ties, and by how much the second nearest is farther. */
export const nearest = (
  unit: ArrayLike<number>,
  codebook: ArrayLike<number>,
  width: number,
  vector: number
): { readonly code: number; readonly margin: number } => {
  let [code, best, second] = [0, Infinity, Infinity]
  for (let candidate = 0; candidate < codebook.length / width; candidate++) {
    let distance = 0
    for (let i = 0; i < width; i++) distance += (unit[vector * width + i]! - codebook[candidate * width + i]!) ** 2
    if (distance < best) [code, best, second] = [candidate, distance, best]
    else second = Math.min(second, distance)
  }
  return { code, margin: second - best }
}

/** The smallest distance by which any vector's second nearest code is farther than its nearest. */
export const margin = (unit: ArrayLike<number>, codebook: ArrayLike<number>, width: number): number =>
  Array.from({ length: unit.length / width }, (_, vector) => nearest(unit, codebook, width, vector).margin)
    .reduce((least, x) => Math.min(least, x), Infinity)

/** One line that counts the codes and names those that differ. */
export const tell = (name: string, { excused, near, wrong }: Comparison, count: number): string =>
  [
    `${name}: ${count} codes, ${near} of them with two nearest codes within ${NEAR}, ${excused.length} of these differ`,
    ...[...excused, ...wrong].map(({ margin, ours, reference, vector }) =>
      `vector ${vector} has ${ours}, not ${reference}, by ${margin.toExponential(1)}`
    )
  ].join("; ")
