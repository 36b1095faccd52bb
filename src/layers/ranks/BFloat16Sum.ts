/**
 * Sums over ranks whose numbers travel as bfloat16, half as many bytes as float32. Each rank adds up a part of the array: it gets the rounded
 * numbers of all ranks, adds them in float32 in the order of the ranks, and sends the rounded sum to all. So every rank has the same bytes, with
 * every MPI.
 */
import * as BFloat16 from "../../domain/values/BFloat16.ts"
import type { Collectives } from "./Collectives.ts"

/** Numbers that are sent at once. */
const PART = 2 ** 20

/** Makes the function that sums an array over all ranks, in place. */
export const make = ({ exchange, size }: Collectives): Collectives["sum"] => {
  const own = Math.ceil(PART / size)
  const sent = new Uint16Array(own * size)
  const received = new Uint16Array(own * size)
  const total = new Float32Array(own)
  const added = new Float32Array(own)
  return (values) => {
    for (let at = 0; at < values.length; at += PART) {
      const part = values.subarray(at, at + PART)
      const share = Math.ceil(part.length / size)
      const [out, back] = [sent.subarray(0, share * size), received.subarray(0, share * size)]
      const [sum, one] = [total.subarray(0, share), added.subarray(0, share)]
      BFloat16.encode(part, out)
      out.fill(0, part.length)
      exchange(out, back)
      sum.fill(0)
      for (let from = 0; from < size; from++) {
        BFloat16.decode(back.subarray(from * share, (from + 1) * share), one)
        for (let i = 0; i < share; i++) sum[i]! += one[i]!
      }
      BFloat16.encode(sum, out)
      for (let to = 1; to < size; to++) out.copyWithin(to * share, 0, share)
      exchange(out, back)
      BFloat16.decode(back, part)
    }
  }
}
