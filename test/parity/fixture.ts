import { Result } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Safetensors from "../../src/domain/weights/Safetensors.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as Inference from "../../src/pipelines/trained/Inference.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { Shape } from "../../src/shapes/Shape.ts"
import type { HostOf, TensorSpec, TrainStep } from "../../src/shapes/Step.ts"
import * as Tree from "../../src/shapes/Tree.ts"

/** Added up: a share of the reference's root mean square, and a number of its own. */
export interface Bound {
  readonly relative: number
  readonly absolute: number
}

export const exact: Bound = { relative: 0, absolute: 0 }

/** The greatest difference between one tensor of ours and the reference; of exact ones, how many elements differ. */
export interface Check {
  readonly part: string
  readonly tensor: string
  readonly error: number
  readonly bound: number
  readonly rms: number
  /** Over the fixture's bound, by no more than rounding errors explain. */
  readonly noise?: boolean
}

/** What a fixture says that no check reads, on purpose. */
export interface Left {
  readonly what: ReadonlyArray<string>
  readonly why: string
}

export interface Report {
  readonly name: string
  readonly checks: ReadonlyArray<Check>
  readonly left: ReadonlyArray<Left>
  readonly unread: ReadonlyArray<string>
}

type Values = ArrayLike<number>

const arrays = { float32: Float32Array, int32: Int32Array, bool: Uint8Array }

const description = new Set([
  "config",
  "float32_noise",
  "info",
  "keys",
  "name",
  "note",
  "notes",
  "produced_by",
  "profile",
  "reference",
  "seed",
  "tolerance",
  "tolerance_exceptions"
])

const results = /^(?:out|eval|grad|train|steps|state_after_\d+)\//

const isRecord = (node: unknown): node is Readonly<Record<string, unknown>> =>
  typeof node === "object" && node !== null && !Array.isArray(node)

const join2 = (path: string, key: string) => (path === "" ? key : `${path}.${key}`)

const leaves = (node: unknown, path = ""): ReadonlyArray<string> =>
  isRecord(node) ? Object.entries(node).flatMap(([key, child]) => leaves(child, join2(path, key))) : [path]

const watched = <T>(node: T, seen: Set<string>, path = ""): T =>
  isRecord(node)
    ? new Proxy(node, {
      get: (target, key) => {
        if (typeof key !== "string" || !Object.hasOwn(target, key)) return undefined
        const child = target[key]
        if (!isRecord(child)) seen.add(join2(path, key))
        return watched(child, seen, join2(path, key))
      }
    })
    : node

const said = (text: string): Bound => {
  const value = Number(/[\d.]+(?:e-?\d+)?/.exec(text)?.[0])
  if (text.startsWith("exact")) return exact
  if (!Number.isFinite(value)) throw new Error(`no bound in "${text}"`)
  return /rms/.test(text) ? { relative: value, absolute: 1e-7 } : { relative: 0, absolute: value }
}

const rmsOf = (values: Values) =>
  Math.sqrt(Array.from(values).reduce((sum, x) => sum + x * x, 0) / Math.max(values.length, 1))

const tensorsOf = (file: string): Readonly<Record<string, Safetensors.Tensor>> =>
  existsSync(file) ? Result.getOrThrow(Safetensors.decode(readFileSync(file))).tensors : {}

/** A fixture of a folder, which keeps account of what was read of it and how it compared. */
export const open = (folder: string, name: string) => {
  const file = join(folder, `${name}.safetensors`)
  const tensors = tensorsOf(file)
  const json = JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8"))
  const facts = {
    ...json.info,
    ...Object.fromEntries(Object.entries(json).filter(([key]) => !description.has(key))),
    ...(existsSync(file) ? {} : { keys: json.keys })
  }
  const [given, compared, seen] = [new Set<string>(), new Set<string>(), new Set<string>()]
  const checks: Array<Check> = []
  const excused: Array<readonly [RegExp, string]> = []
  const attached = new Set<string>()

  const tensor = (key: string): Safetensors.Tensor => {
    const found = tensors[key]
    if (found === undefined) throw new Error(`${name}.safetensors has no ${key}`)
    given.add(key)
    return found
  }
  const has = (key: string) => key in tensors
  const numbers = (key: string): Float32Array => Float32Array.from(tensor(key).data)
  const partOf = (key: string) => key.split(key.includes("/") ? "/" : "_")[0]!

  const bound = (key: string): Bound => {
    const { tolerance } = json
    const own = typeof tolerance === "string"
      ? tolerance
      : tolerance?.[partOf(key)] ?? tolerance?.[key] ?? tolerance?.all
    if (own === undefined) throw new Error(`${name}.json gives no tolerance for ${key}`)
    return typeof own === "string" ? said(own) : { relative: own.rel_to_rms, absolute: 1e-7 }
  }

  const compare = (part: string, what: string, actual: Values, expected: Values, { absolute, relative }: Bound) => {
    const rms = rmsOf(expected)
    const same = actual.length === expected.length
    const distance = (x: number, at: number) => {
      const off = Math.abs(x - expected[at]!)
      return Number.isFinite(off) ? off : Infinity
    }
    checks.push({
      part,
      tensor: what,
      error: same ? Array.from(actual).reduce((most, x, at) => Math.max(most, distance(x, at)), 0) : Infinity,
      bound: relative * rms + absolute,
      rms
    })
  }

  const equals = (part: string, what: string, actual: ArrayLike<unknown>, expected: ArrayLike<unknown>) => {
    const differing = Array.from(actual).filter((x, at) => x !== expected[at]).length
    const error = actual.length === expected.length ? differing : Infinity
    checks.push({ part, tensor: what, error, bound: 0, rms: Number.NaN })
  }

  const tolerance = (name: string): Bound => said(json.tolerance[name])

  const widened = (key: string): number => json.tolerance_exceptions?.[key]?.tolerance_abs ?? 0

  return {
    name,
    folder,
    config: json.config,
    /** What is said in words of how the numbers were made. */
    notes: [json.notes ?? []].flat().join("\n"),
    /** The tolerances as they are written. */
    tolerances: json.tolerance,
    /** The greatest error of the official code's own float32 run in a group, as a share of the root mean square. */
    noise: (part: string): number => json.float32_noise?.[part]?.max_abs_over_rms ?? 0,
    info: watched(facts, seen),
    checks,
    has,
    tensor,
    numbers,
    bound,
    tolerance,
    compare,
    equals,
    keys: (group: string): ReadonlyArray<string> =>
      Object.keys(tensors).filter((key) => key.startsWith(`${group}/`)).map((key) => key.slice(group.length + 1))
        .toSorted(),
    groups: (): ReadonlyArray<string> => Array.from(new Set(Object.keys(tensors).map((key) => key.split("/")[0]!))),
    /**
     * Compares a tensor of ours with the reference of that key, where the fixture has one. Elements over the bound may be off by their reach on top of
     * it, where that is given; each of them is a check of its own.
     */
    matches: (
      key: string,
      actual: { readonly data: Values },
      { arranged = (values) => values, reach, within }: {
        readonly within?: Bound
        readonly arranged?: (values: Values) => Values
        readonly reach?: () => ReadonlyArray<number>
      } = {}
    ) => {
      if (!has(key)) return
      compared.add(key)
      const expected = arranged(tensor(key).data)
      const rms = rmsOf(expected)
      const { absolute, relative } = within ?? bound(key)
      const allowed = Math.max(relative * rms + absolute, widened(key))
      const kept = Array.from(actual.data)
      const over = reach === undefined || kept.length !== expected.length
        ? []
        : kept.flatMap((x, at) => (Math.abs(x - expected[at]!) > allowed ? [at] : []))
      const reached = over.length === 0 ? [] : reach!()
      for (const at of over) {
        const error = Math.abs(kept[at]! - expected[at]!)
        checks.push({
          part: partOf(key),
          tensor: `${key}, element ${at} by noise in its gradient`,
          error,
          bound: allowed + reached[at]!,
          rms,
          noise: true
        })
        kept[at] = expected[at]!
      }
      compare(partOf(key), key, kept, expected, { relative: 0, absolute: allowed })
    },
    /** The same for whole numbers. */
    same: (key: string, actual: { readonly data: Values }) => {
      if (!has(key)) return
      compared.add(key)
      equals(partOf(key), key, actual.data, tensor(key).data)
    },
    /** The same for pixels of 8 bits, a few of which may be a level off where the fixture allows it. */
    pixels: (key: string, actual: { readonly data: Values }) => {
      if (!has(key)) return
      compared.add(key)
      const expected = tensor(key).data
      const off = Array.from(actual.data, (x, at) => Math.abs(x - expected[at]!)).filter((distance) => distance !== 0)
      const { images, uint8 = images } = json.tolerance
      const said = /(\d+) level on (?:<|at most )(\d+) ?%/.exec(uint8) ?? []
      const [levels, percent] = [Number(said[1]), Number(said[2])]
      const few = off.length > 0 && off.length < expected.length * percent / 100
      if (!few || actual.data.length !== expected.length) {
        return equals(partOf(key), key, actual.data, expected)
      }
      checks.push({
        part: partOf(key),
        tensor: `${key}, ${off.length} of ${expected.length} values`,
        error: off.reduce((a, b) => Math.max(a, b)),
        bound: levels,
        rms: 0,
        noise: true
      })
    },
    /** Compares a statistic with the reference of that key, as distances that have to be small. */
    deviates: (key: string, distances: ReadonlyArray<number>, within: Bound) => {
      if (!has(key)) return
      compared.add(key)
      compare(partOf(key), key, distances, distances.map(() => 0), within)
    },
    /** A reference tensor as an input of the given shape. */
    host: <S extends Shape, D extends HostTensor.DType>(spec: TensorSpec<S, D>, key: string) => {
      const { data, shape } = tensor(key)
      if (shape.join() !== spec.shape.join()) throw new Error(`${key} is [${shape}], expected [${spec.shape}]`)
      return HostTensor.make(spec.shape, spec.dtype, arrays[spec.dtype].from(data) as HostTensor.DataOf<D>)
    },
    /** Another file of the folder that belongs to this fixture. */
    attach: (stem: string) => {
      attached.add(`${stem}.json`)
      return JSON.parse(readFileSync(join(folder, `${stem}.json`), "utf8"))
    },
    attached,
    /** Another fixture of the folder, whose account is its own. */
    sibling: (other: string) => open(folder, other),
    /** Says why tensors or facts are compared with nothing. */
    leave: (what: RegExp, why: string) => void excused.push([what, why]),
    report: (): Report => {
      const unread = [
        ...Object.keys(tensors).filter((key) => !compared.has(key) && (results.test(key) || !given.has(key))),
        ...leaves(facts).filter((path) => path !== "" && !seen.has(path)).map((path) => `info ${path}`)
      ]
      const left = excused.map(([pattern, why]) => ({ what: unread.filter((key) => pattern.test(key)), why }))
      const known = new Set(left.flatMap(({ what }) => what))
      return { name, checks, left, unread: unread.filter((key) => !known.has(key)) }
    }
  }
}

export type Fixture = ReturnType<typeof open>

/** The fixture's tensors of a group under their own names, without those that are no parameters of ours. */
export const group = (fixture: Fixture, prefix: string, foreign: RegExp = /$^/): Weights.Tensors =>
  Object.fromEntries(
    fixture.keys(prefix).filter((key) => !foreign.test(key)).map((key) => [key, fixture.tensor(`${prefix}/${key}`)])
  )

/** A state before the first step: parameters as given, moments of zero, and other buffers by their path. */
export const begin = <S, B, M>(
  step: TrainStep<S, B, M>,
  parameters: Weights.Tensors,
  buffers: Weights.Tensors = {}
): HostOf<S> => {
  const still = Object.fromEntries(
    Object.entries(parameters).map(([name, { shape }]) => [name, HostTensor.zeros(shape, "float32")])
  )
  const tensors: Weights.Tensors = {
    ...Inference.parameters(parameters),
    ...Inference.renamed(still, (name) => `first.${name}`),
    ...Inference.renamed(still, (name) => `second.${name}`),
    ...buffers
  }
  Result.getOrThrow(Weights.conform(step.state as object, Weights.make(tensors), step.name))
  return Tree.map<HostOf<S>>(step.state as object, (_, path) => tensors[path])
}

/** The arrays of a tree by path. */
export const leavesOf = (tree: object): ReadonlyMap<string, HostTensor.Any> =>
  new Map(Tree.leaves<HostTensor.Any>(tree))
