/**
 * A series of bounded length: of long ones, the points that a chart needs. Of each stretch of steps it keeps the first, the last,
 * the lowest and the highest point.
 */

type Point = readonly [step: number, value: number]

/** Keeps four points at most of each stretch of `width` steps. */
const thin = (points: ReadonlyArray<Point>, width: number): ReadonlyArray<Point> => {
  const kept: Array<Point> = []
  let begin = 0
  while (begin < points.length) {
    const stretch = Math.floor(points[begin]![0] / width)
    let [end, low, high] = [begin, begin, begin]
    for (; end < points.length && Math.floor(points[end]![0] / width) === stretch; end++) {
      if (points[end]![1] < points[low]![1]) low = end
      if (points[end]![1] > points[high]![1]) high = end
    }
    const chosen = [...new Set([begin, low, high, end - 1])].toSorted((a, b) => a - b)
    kept.push(...chosen.map((index) => points[index]!))
    begin = end
  }
  return kept
}

/** Makes a series of at most `most` points, at least four. Up to this length it keeps all. Its memory is bounded, too. */
export const make = (most: number) => {
  let points: Array<Point> = []
  let width = 1
  const shrink = () => {
    while (points.length > most) {
      width *= 2
      points = [...thin(points, width)]
    }
  }
  return {
    /** Adds a point. A step that was there before replaces its point and all later ones, as a resumed stage does. */
    add: (step: number, value: number): void => {
      while (points.length > 0 && points.at(-1)![0] >= step) points.pop()
      points.push([step, value])
      if (points.length > 2 * most) shrink()
    },
    /** Returns the series. Steps ascend. */
    series: (): { readonly steps: ReadonlyArray<number>; readonly values: ReadonlyArray<number> } => {
      shrink()
      return { steps: points.map(([step]) => step), values: points.map(([, value]) => value) }
    }
  }
}
export type Thinned = ReturnType<typeof make>
