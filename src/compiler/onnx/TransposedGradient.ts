/** Gradients that a graph outputs as their transposes. The engine transposes them while it updates the parameter. */
import type { Shape } from "../../shapes/Shape.ts"

/** The block size in which engines transpose gradients. The graph transposes matrices that these blocks do not divide. */
export const BLOCK = { rows: 32, columns: 4 } as const

/** Tests whether an engine can transpose a gradient of this shape. */
export const fits = (shape: Shape): boolean => {
  const [rows, columns] = shape
  return rows! % BLOCK.rows === 0 && columns! % BLOCK.columns === 0
}
