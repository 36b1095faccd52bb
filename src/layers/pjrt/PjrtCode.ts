/** The codes of PJRT's errors. They are those of gRPC. */

/** The codes, by their numbers. */
export const CODES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED"
] as const

export type Code = typeof CODES[number]

/** Returns the code with a number. A number that PJRT does not have yet is `UNKNOWN`. */
export const codeOf = (number: bigint): Code => CODES[Number(number)] ?? "UNKNOWN"

/** Returns the number of a code. */
export const numberOf = (code: Code): number => CODES.indexOf(code)
