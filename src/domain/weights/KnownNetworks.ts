/**
 * Recognises networks by the names and shapes of their tensors, under the names of any known library.
 *
 * ```ts
 * import assert from "node:assert"
 * import { KnownNetworks } from "patchword/domain"
 *
 * const [nearest] = KnownNetworks.recognise({
 *   "visual.class_embedding": [768],
 *   "visual.positional_embedding": [197, 768],
 *   "visual.conv1.weight": [768, 3, 16, 16]
 * })
 * assert.strictEqual(nearest?.known.network, "clip")
 * assert.strictEqual(nearest.sizes["patch"], 16)
 * assert.ok(nearest.missing.includes("visual.proj"))
 * ```
 */
import { Result } from "effect"
import * as Naming from "./Naming.ts"
import { type Template, templates } from "./NetworkShapes.ts"

/** The shapes of tensors by their names. */
export type Shapes = Readonly<Record<string, ReadonlyArray<number>>>

/** A network, with the tensor names of one library. */
export interface KnownNetwork {
  readonly network: Naming.Network
  readonly naming: Naming.Naming
  /** A short title for its files. */
  readonly title: string
}

/** The match of tensors with a network. Tensor names are the official ones, for every library. */
export interface Match {
  readonly known: KnownNetwork
  /** The share of tensors with the right name and shape, among all that are present or expected. */
  readonly share: number
  readonly missing: ReadonlyArray<string>
  readonly unexpected: ReadonlyArray<string>
  readonly misshaped: ReadonlyArray<{ readonly name: string; readonly expected: string; readonly given: string }>
  /** Sizes read from the shapes: `width`, `patch`, `tokens`, `depth`, `codes`, … */
  readonly sizes: Readonly<Record<string, number>>
}

const titles: Readonly<Record<Naming.Network, string>> = {
  tokenizer: "a tokenizer of BEiT v2 (VQ-KD)",
  pretrained: "a pretrained BEiT",
  classifier: "a BEiT classifier",
  clip: "the image tower of CLIP",
  dino: "a DINO vision transformer"
}

const namers: Readonly<Record<Naming.Naming, string>> = {
  official: "under its official names",
  timm: "under the names of timm",
  huggingface: "under the names of Hugging Face"
}

/** All networks that can be recognised. */
export const all: ReadonlyArray<KnownNetwork> = Naming.Network.literals.flatMap((network) =>
  Naming.namings(network).map((naming) => ({ network, naming, title: `${titles[network]} ${namers[naming]}` }))
)

const show = (shape: ReadonlyArray<number>): string => `[${shape.join(", ")}]`

interface Axis {
  readonly times: number
  readonly size: string
}

const axesOf = (text: string): ReadonlyArray<Axis> =>
  text.split(" ").map((axis) => {
    const [first = "", second] = axis.split("*")
    return second !== undefined
      ? { times: Number(first), size: second }
      : /^\d+$/.test(first)
      ? { times: Number(first), size: "1" }
      : { times: 1, size: first }
  })

/** Returns the value of each size that most tensors agree on. */
const vote = (tensors: ReadonlyArray<readonly [axes: ReadonlyArray<Axis>, shape: ReadonlyArray<number>]>) => {
  const votes = new Map<string, Map<number, number>>()
  for (const [axes, shape] of tensors) {
    if (axes.length !== shape.length) continue
    axes.forEach(({ size, times }, i) => {
      const value = shape[i]! / times
      const counts = votes.get(size) ?? new Map<number, number>()
      votes.set(size, counts.set(value, (counts.get(value) ?? 0) + 1))
    })
  }
  votes.delete("1")
  return Object.fromEntries(
    Array.from(votes, ([size, counts]) => [size, [...counts].reduce((a, b) => (b[1] > a[1] ? b : a))[0]] as const)
  )
}

/**
 * Returns the number of blocks of each stack, from the highest block number in the names. It is at most the number of tensors.
 */
const depths = (names: ReadonlyArray<string>, template: Template): ReadonlyMap<string, number> => {
  const prefixes = new Set(Object.keys(template).flatMap((name) => name.includes("*") ? name.split("*")[0]! : []))
  return new Map(Array.from(prefixes, (prefix) => [
    prefix,
    names.filter((name) => name.startsWith(prefix))
      .map((name) => Number.parseInt(name.slice(prefix.length), 10) + 1)
      .reduce((depth, number) => Math.min(Math.max(depth, number || 0), names.length), 0)
  ]))
}

const stacks: Readonly<Record<string, string>> = {
  "decoder.blocks.": "decoderDepth",
  "cls_pt_layers.": "headDepth"
}

const compare = (known: KnownNetwork, shapes: Shapes): Match => {
  const template = templates[known.network]
  const names = Object.keys(shapes)
  const found = depths(names, template)
  const expected = new Map(
    Object.entries(template).flatMap(([pattern, text]) => {
      const required = !pattern.endsWith("?")
      const name = required ? pattern : pattern.slice(0, -1)
      const prefix = name.split("*")[0]!
      const depth = name.includes("*") ? Math.max(found.get(prefix)!, required ? 1 : 0) : 1
      return Array.from(
        { length: depth },
        (_, i) => [name.replace("*", String(i)), { required, text, axes: axesOf(text) }] as const
      )
    })
  )
  const there = names.flatMap((name) => {
    const asked = expected.get(name)
    return asked === undefined ? [] : [{ name, ...asked, shape: shapes[name]! }]
  })
  const sizes: Readonly<Record<string, number>> = vote(there.map(({ axes, shape }) => [axes, shape]))
  const sized = (axis: Axis) => axis.times * (axis.size === "1" ? 1 : sizes[axis.size] ?? NaN)
  const misshaped = there
    .filter(({ axes, shape }) => axes.length !== shape.length || axes.some((axis, i) => sized(axis) !== shape[i]))
    .map(({ axes, name, shape, text }) => {
      const numbers = axes.map(sized)
      return { name, expected: numbers.some(Number.isNaN) ? `[${text}]` : show(numbers), given: show(shape) }
    })
  const missing = [...expected].filter(([name, { required }]) => required && !(name in shapes)).map(([name]) => name)
  const unexpected = names.filter((name) => !expected.has(name))
  const right = there.length - misshaped.length
  const blocks = Array.from(found, ([prefix, depth]) => [stacks[prefix] ?? "depth", depth] as const)
  return {
    known,
    share: right / Math.max(1, missing.length + names.length),
    missing,
    unexpected,
    misshaped,
    sizes: { ...sizes, ...Object.fromEntries(blocks.filter(([, depth]) => depth > 0)) }
  }
}

/**
 * Returns the networks that share tensors with the given ones, the best match first, one match for each network. A tensor name
 * may belong to several networks: BEiT and DINO share most of theirs.
 */
export const recognise = (shapes: Shapes): ReadonlyArray<Match> => {
  // Only names and shapes count, so the arrays that are translated hold nothing.
  const hollow: Naming.Tensors = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: "float32", data: new Float32Array(0) }])
  )
  const matches = all.flatMap((known) => {
    const translated = Result.getOrElse(Naming.official(hollow, known.network, known.naming), () => hollow)
    const own = Object.fromEntries(Object.entries(translated).map(([name, { shape }]) => [name, shape]))
    const match = compare(known, own)
    return match.share > 0 ? [match] : []
  }).toSorted((a, b) => b.share - a.share)
  return matches.filter(({ known }, i) => i === matches.findIndex((other) => other.known.network === known.network))
}

/** The smallest share at which a network is named. */
const NEAR = 0.5

/** Describes the network of tensors in words; `undefined` if no known network matches. */
export const describe = (shapes: Shapes): string | undefined => {
  const [nearest] = recognise(shapes)
  if (nearest === undefined || nearest.share < NEAR) return undefined
  const { known, missing, misshaped, share } = nearest
  const percent = share === 1 ? "all" : `${Math.floor(100 * share)} %`
  const lacking = [
    ...missing.length === 0 ? [] : [`${missing[0]} is missing`],
    ...misshaped.slice(0, 1).map(({ expected, given, name }) => `${name} is ${given} instead of ${expected}`)
  ]
  return `${known.title} (${percent} of its tensors${lacking.length === 0 ? "" : `; ${lacking.join(", ")}`})`
}
