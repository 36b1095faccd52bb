/** The smallest distance by which a vector's second nearest code is farther than its nearest. */
export const margin = (unit: ArrayLike<number>, codebook: ArrayLike<number>, width: number): number => {
  const codes = codebook.length / width
  let least = Infinity
  for (let row = 0; row < unit.length / width; row++) {
    let [best, second] = [Infinity, Infinity]
    for (let code = 0; code < codes; code++) {
      let distance = 0
      for (let i = 0; i < width; i++) distance += (unit[row * width + i]! - codebook[code * width + i]!) ** 2
      if (distance < best) [best, second] = [distance, best]
      else second = Math.min(second, distance)
    }
    least = Math.min(least, second - best)
  }
  return least
}
