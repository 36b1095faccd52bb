/** What the launches of a step take, by the profiler of XLA's plugin for GPUs. */
import koffi from "koffi"
import protobuf from "protobufjs"
import * as Struct from "../../src/layers/pjrt/Struct.ts"

/** A kernel, or all kernels whose names differ only in a number: how often it runs, and how long, in milliseconds. */
export interface Launch {
  readonly name: string
  readonly count: number
  readonly ms: number
}

/** A profile of some steps, per step. */
export interface Profile {
  readonly launches: number
  readonly ms: number
  readonly kinds: ReadonlyArray<Launch>
  readonly longest: ReadonlyArray<Launch>
}

const MOST = 40

// The messages of XLA's profiler, as far as they are read here.
const { nested } = {
  nested: {
    Space: { fields: { planes: { id: 1, rule: "repeated", type: "Plane" } } },
    Plane: {
      fields: {
        name: { id: 2, type: "string" },
        lines: { id: 3, rule: "repeated", type: "Line" },
        names: { id: 4, keyType: "int64", type: "Name" }
      }
    },
    Line: { fields: { events: { id: 4, rule: "repeated", type: "Event" } } },
    Event: { fields: { name: { id: 1, type: "int64" }, picoseconds: { id: 3, type: "int64" } } },
    Name: { fields: { name: { id: 2, type: "string" } } }
  }
} as const

/** The message of a whole profile. */
export const Space = protobuf.Root.fromJSON({ nested }).lookupType("Space")

interface Plane {
  readonly name: string
  readonly lines: ReadonlyArray<
    { readonly events: ReadonlyArray<{ readonly name: number; readonly picoseconds: number }> }
  >
  readonly names: Readonly<Record<string, { readonly name: string }>>
}

const digits = (value: number): number => Number(value.toPrecision(4))

const longest = (found: ReadonlyMap<string, readonly [count: number, ms: number]>): ReadonlyArray<Launch> =>
  Array.from(found, ([name, [count, ms]]) => ({ name, count: digits(count), ms: digits(ms) }))
    .toSorted((a, b) => b.ms - a.ms)
    .slice(0, MOST)

/** Decodes a profile. Some plugins give one more byte than the message has. */
const decoded = (bytes: Uint8Array) => {
  try {
    return Space.decode(bytes)
  } catch {
    return Space.decode(bytes.subarray(0, -1))
  }
}

/** Sums up what devices did in a number of steps. */
export const summary = (bytes: Uint8Array, steps: number): Profile => {
  const { planes } = Space.toObject(decoded(bytes), { longs: Number, arrays: true, objects: true }) as {
    readonly planes: ReadonlyArray<Plane>
  }
  const [kinds, single] = [new Map<string, readonly [number, number]>(), new Map<string, readonly [number, number]>()]
  let [launches, total] = [0, 0]
  for (const { lines, name: device, names } of planes) {
    if (!device.startsWith("/device:")) continue
    for (const { name: id, picoseconds } of lines.flatMap(({ events }) => events)) {
      const name = names[id]?.name ?? `${id}`
      const ms = picoseconds / 1e9 / steps
      launches += 1 / steps
      total += ms
      for (const [found, key] of [[single, name], [kinds, name.replace(/[_.]\d+$/, "")]] as const) {
        const [count, before] = found.get(key) ?? [0, 0]
        found.set(key, [count + 1 / steps, before + ms])
      }
    }
  }
  return { launches: digits(launches), ms: digits(total), kinds: longest(kinds), longest: longest(single) }
}

const PROFILER = 1n
const TYPE = 0xffffffffn
const WORDS = 10n
const [CREATE, , START, STOP, COLLECT] = [5, 6, 7, 8, 9]
const MESSAGE = 3

// `version` is 1, and `device_tracer_level` is 1.
const OPTIONS = Uint8Array.of(0x28, 1, 0x18, 1)

const functionType = koffi.proto("void *", ["void *"])

/** Begins a profile with the profiler of a plugin, which is the same in all threads. Returns what ends it. Throws an error without one. */
export const begin = (plugin: string): (steps: number) => Profile => {
  const api: bigint = koffi.load(plugin).func("void *GetPjrtApi()")()
  let at = Struct.words(api, 2n)[1]!
  let table: ReadonlyArray<bigint> | undefined
  while (at !== 0n && table === undefined) {
    const [, type, next, own] = Struct.words(at, 4n)
    if ((type! & TYPE) === PROFILER && own !== 0n) table = Struct.words(own!, WORDS)
    at = next!
  }
  if (table === undefined) throw new Error(`the plugin ${plugin} has no profiler`)
  const call = (place: number, ...members: ReadonlyArray<bigint | Uint8Array>): BigInt64Array => {
    const struct = BigInt64Array.of(
      BigInt(8 * (members.length + 1)),
      ...members.map((member) => typeof member === "bigint" ? member : koffi.address(member))
    )
    const error: bigint | null = koffi.call(table[place]!, functionType, struct)
    if (error === null || error === 0n) return struct
    const told = BigInt64Array.of(40n, 0n, error, 0n, 0n)
    koffi.call(table[MESSAGE]!, functionType, told)
    throw new Error(Struct.text(BigInt.asUintN(64, told[3]!), told[4]!))
  }
  const profiler = call(CREATE!, OPTIONS, BigInt(OPTIONS.length), 0n)[3]!
  call(START!, profiler)
  return (steps) => {
    call(STOP!, profiler)
    const told = call(COLLECT!, profiler, 0n, 0n)
    return summary(new Uint8Array(Struct.bytes(BigInt.asUintN(64, told[2]!), told[3]!)), steps)
  }
}
