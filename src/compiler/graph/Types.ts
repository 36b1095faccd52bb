/** The shapes of results, from the shapes of operands. */
import type { Shape } from "../../shapes/Shape.ts"

export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((dim, axis) => dim === b[axis])

/** Returns the shape to which all shapes broadcast. Each axis has one size or is 1. */
export const broadcast = (...shapes: ReadonlyArray<Shape>): Shape => {
  const rank = Math.max(...shapes.map(({ length }) => length))
  return Array.from({ length: rank }, (_, axis) =>
    shapes.reduce((dim, shape) => {
      const own = shape[shape.length - rank + axis] ?? 1
      return own === 1 ? dim : own
    }, 1))
}

/** Returns a shape without the given axes, or with ones in their place. */
export const reduced = (shape: Shape, axes: ReadonlyArray<number>, keepDims: boolean): Shape =>
  keepDims ? shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)) : shape.filter((_, axis) => !axes.includes(axis))
