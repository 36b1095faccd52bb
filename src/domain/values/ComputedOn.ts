/**
 * A record of the engine that computed something: name, version, threads, precision. Each of them changes the order of
 * additions. The same bytes are promised only if all of them are the same.
 *
 * ```ts
 * import assert from "node:assert"
 * import { ComputedOn } from "patchword/domain"
 *
 * const one = { engine: "onnx cpu", version: "1.30.0", threads: 1, precision: "fp32" }
 * const history = ComputedOn.extend([{ ...one, from: 1 }], { ...one, threads: 2 }, 101)
 * assert.strictEqual(
 *   ComputedOn.showHistory(history),
 *   "onnx cpu 1.30.0, 1 thread, fp32 from step 1; onnx cpu 1.30.0, 2 threads, fp32 from step 101"
 * )
 * ```
 */
import { Schema } from "effect"
import * as Json from "./Json.ts"

/** An engine and its settings. */
export const ComputedOn = Schema.Struct({
  /** The name of the engine: `onnx cpu`, `openvino`. */
  engine: Schema.String,
  /** The version of the engine's library. */
  version: Schema.String,
  threads: Schema.Int,
  /** The precision of matrix products. */
  precision: Schema.String,
  /** The number of devices that shared the batches of training; absent for one. */
  devices: Schema.optionalKey(Schema.Int),
  /** The number of ranks that shared the batches of training; absent for one. */
  ranks: Schema.optionalKey(Schema.Int),
  /** The number format in which gradients travelled between ranks; absent for float32. */
  wire: Schema.optionalKey(Schema.Literal("bf16")),
  /** Where values were summed over ranks, inside of the engine's programs; absent for the host. */
  collectives: Schema.optionalKey(Schema.Literal("inside"))
})
export type ComputedOn = typeof ComputedOn.Type

/** The engines that computed the steps of a stage. An entry holds from its step, counted from 1, up to the next entry's. */
export const History = Schema.Array(Schema.Struct({ ...ComputedOn.fields, from: Schema.Int }))
export type History = typeof History.Type

/** Selects the fields of an engine's description that decide about the bytes of results. */
export const of = (computedOn: ComputedOn): ComputedOn => ({
  engine: computedOn.engine,
  version: computedOn.version,
  threads: computedOn.threads,
  precision: computedOn.precision,
  ...(computedOn.devices === undefined ? {} : { devices: computedOn.devices }),
  ...(computedOn.ranks === undefined ? {} : { ranks: computedOn.ranks }),
  ...(computedOn.wire === undefined ? {} : { wire: computedOn.wire }),
  ...(computedOn.collectives === undefined ? {} : { collectives: computedOn.collectives })
})

/** Lists the differences. */
export const differences = (before: ComputedOn, now: ComputedOn): ReadonlyArray<Json.Difference> =>
  Json.differences(of(before), of(now))

/** One device and one rank are not recorded. */
const counted = (computedOn: ComputedOn) => ({
  devices: 1,
  ranks: 1,
  wire: "fp32",
  collectives: "host",
  ...of(computedOn)
})

/** Returns the message for a stage that continues on another engine; undefined if nothing changed. */
export const change = (before: ComputedOn, now: ComputedOn): string | undefined => {
  const found = Json.differences(counted(before), counted(now))
  if (found.length === 0) return undefined
  const changes = found.map(({ asked, key, stored }) => `${key}: ${stored} then, ${asked} now`).join("; ")
  return `until now it was computed on ${show(before)}. It continues on ${show(now)} (${changes}). Results differ by ` +
    "rounding; use the former for the same bytes"
}

/** Appends an engine to a history, from a step on. */
export const extend = (before: History, now: ComputedOn, from: number): History => {
  const last = before.at(-1)
  return last !== undefined && differences(last, now).length === 0 ? before : [...before, { ...of(now), from }]
}

/** Formats it as text: `onnx cpu 1.30.0, 1 thread, fp32`. */
export const show = (computedOn: ComputedOn): string => {
  const { collectives, devices, engine, precision, ranks, threads, version, wire } = computedOn
  const shared = [
    devices && `, ${devices} devices`,
    ranks && `, ${ranks} ranks`,
    wire && `, gradients in ${wire}`,
    collectives && `, collectives ${collectives}`
  ].map((part) => part ?? "").join("")
  return `${engine} ${version}${shared}, ${threads} ${threads === 1 ? "thread" : "threads"}, ${precision}`
}

/** Formats a history as text, with the steps. */
export const showHistory = (history: History): string =>
  history.map((part) => `${show(part)} from step ${part.from}`).join("; ")
