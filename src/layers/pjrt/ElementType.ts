/** PJRT's numbers of the element types. */
import type { DType } from "../../shapes/HostTensor.ts"

const NUMBERS: Readonly<Record<DType, number>> = { bool: 1, int32: 4, float32: 11 }

/** Names of all types of version 0.81, by their numbers. */
const NAMES = [
  "invalid",
  "bool",
  "int8",
  "int16",
  "int32",
  "int64",
  "uint8",
  "uint16",
  "uint32",
  "uint64",
  "float16",
  "float32",
  "float64",
  "bfloat16"
] as const

export const numberOf = (dtype: DType): number => NUMBERS[dtype]

/** Returns the name of a type, or its number if it has none here. */
export const nameOf = (number: number): string => NAMES[number] ?? `element type ${number}`
