import type { Dim } from "../../../src/shapes/index.ts"

export const sums: [Dim.Plus<0, 0>, Dim.Plus<196, 1>, Dim.Plus<999, 1>, Dim.Plus<5, 999>, Dim.Plus<1000, 24>] = [
  0,
  197,
  1000,
  1004,
  1024
]
export const products: [Dim.Mul<3, 768>, Dim.Mul<197, 197>, Dim.Mul<0, 12>, Dim.Mul<12, 0>, Dim.Mul<1000, 1000>] = [
  2304,
  38809,
  0,
  0,
  1000000
]
export const nines: [Dim.Mul<99, 99>, Dim.Mul<9999, 9999>] = [9801, 99980001]
export const quotients: [Dim.Div<768, 12>, Dim.Div<1000, 1>, Dim.Div<0, 10>, Dim.Div<5, 5>, Dim.Div<1000000, 1000>] = [
  64,
  1000,
  0,
  1,
  1000
]
export const named: Dim.Plus<Dim.Mul<Dim.Dim<"batch">, 49>, 1> extends Dim.Dim<"batch*49+1"> ? true : false = true
