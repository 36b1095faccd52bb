/**
 * Translates the names of weights between the official code, timm and the files of Hugging Face's transformers. Some arrays
 * change with their names. Attention is one matrix or three, a projection is transposed, a class token has more axes.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Result } from "effect"
 * import { Naming } from "patchword/domain"
 *
 * const weight = { shape: [8, 3, 2, 2], dtype: "float32", data: new Float32Array(96) } as const
 * const ours = { "patch_embed.proj.weight": weight }
 * const theirs = Result.getOrThrow(Naming.to("huggingface", ours, "classifier"))
 * assert.deepStrictEqual(theirs, { "beit.embeddings.patch_embeddings.projection.weight": weight })
 * assert.deepStrictEqual(Naming.official(theirs, "classifier"), Result.succeed(ours))
 * ```
 */
import { Result, Runtime, Schema } from "effect"
import { TaggedError, type Told } from "../values/TaggedError.ts"
import * as ElementType from "./ElementType.ts"
import { BEIT, beitPatches, Naming, namings, Network, networks } from "./NetworkNames.ts"
import type { Tensor } from "./Safetensors.ts"

export { Naming, namings, Network }

/** Arrays by name. */
export type Tensors = Readonly<Record<string, Tensor>>

/** The reason why names cannot be translated. */
export const Reason = Schema.TaggedUnion({
  /** The names belong to none of the namings, or to several. */
  Unclear: {
    found: Schema.Array(Naming),
    markers: Schema.Array(Schema.Struct({ naming: Naming, name: Schema.String })),
    names: Schema.Array(Schema.String)
  },
  /** The naming has no such network. */
  NoNetwork: { naming: Naming, known: Schema.Array(Naming) },
  /** The naming has no names for these tensors of the network. */
  NoPlace: { naming: Naming, names: Schema.Array(Schema.String) }
})
export type Reason = typeof Reason.Type

const SHOWN = 5

const some = (names: ReadonlyArray<string>): string =>
  names.length > SHOWN ? `${names.slice(0, SHOWN).join(", ")} and ${names.length - SHOWN} more` : names.join(", ")

const told = ({ network, reason }: { readonly network: Network; readonly reason: Reason }): Told =>
  Reason.match(reason, {
    Unclear: ({ found, markers, names }) => ({
      finding:
        `the tensors are named in ${found.length === 0 ? "no known way" : `several ways, ${found.join(" and ")}`}. A ` +
        `${network} network has ${markers.map(({ name, naming }) => `${name} (${naming})`).join(" or ")}. The file ` +
        `has ${names.length === 0 ? "no tensors" : some(names)}`,
      remedy: "use a file of that network, written by one of them"
    }),
    NoNetwork: ({ known, naming }) => ({
      finding: `${naming} has no ${network} network`,
      remedy: `use ${known.join(" or ")} names`
    }),
    NoPlace: ({ names, naming }) => ({
      finding: `the ${network} network of ${naming} has no name for ${some(names)}`,
      remedy: "remove these tensors, or use official names"
    })
  })

/** The names of tensors cannot be translated. */
export class NamingError extends TaggedError<NamingError>()("NamingError", { network: Network, reason: Reason }) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return told(this).finding
  }
  get remedy() {
    return told(this).remedy
  }
}

const fail = (network: Network, reason: Reason) => Result.fail(new NamingError({ network, reason }))

const nobody = (network: Network, naming: Naming) =>
  fail(network, { _tag: "NoNetwork", naming, known: Naming.literals.filter((one) => one in networks[network]) })

/** Makes a function that rewrites names which match `pattern`, by a template. */
const renaming = (pattern: string) => {
  const expression = new RegExp(`^${pattern.replaceAll(".", "\\.").replace("*", "(?<block>\\d+)")}(?<rest>\\..+)?$`)
  return (name: string, template: string): string | undefined => {
    const groups = expression.exec(name)?.groups
    return groups && template.replace("*", groups["block"] ?? "") + (groups["rest"] ?? "")
  }
}

type Named = readonly [name: string, tensor: Tensor]

/** Joins three arrays along their first axis; `undefined` if their types or shapes differ. */
const joined = (parts: ReadonlyArray<Tensor>): Tensor | undefined => {
  const [first] = parts
  if (first === undefined || parts.length !== 3 || first.shape.length === 0) return undefined
  const kind = ({ dtype, shape }: Tensor) => `${dtype} ${shape.join()}`
  if (parts.some((part) => kind(part) !== kind(first))) return undefined
  const data = ElementType.zeros(first.dtype, 3 * first.data.length)
  parts.forEach((part, i) => data.set(part.data, i * first.data.length))
  return { ...first, shape: [3 * first.shape[0]!, ...first.shape.slice(1)], data }
}

/** Splits an array into thirds along its first axis; `undefined` if that is not possible. */
const thirds = ({ data, dtype, shape: [rows, ...rest] }: Tensor): ReadonlyArray<Tensor> | undefined => {
  if (rows === undefined || rows % 3 !== 0) return undefined
  const length = data.length / 3
  return [0, 1, 2].map((i) => ({ dtype, shape: [rows / 3, ...rest], data: data.slice(i * length, (i + 1) * length) }))
}

const markersOf = (network: Network) =>
  Naming.literals.flatMap((naming) => {
    const name = networks[network][naming]?.marker
    return name === undefined ? [] : [{ naming, name }]
  }).filter(({ name }, i, all) => all.findIndex((other) => other.name === name) === i)

/** Prefixes of names that wrappers add: distributed training, compilation, or a surrounding network. */
const WRAPPED = /^(?:(?:module|_orig_mod|backbone|model)\.)+/

/**
 * Removes the prefix of a wrapper from names. The prefix is the part before the network's marker. Other names stay as they are,
 * such as those of a head next to a `backbone`.
 */
const unwrapped = (tensors: Tensors, network: Network): Tensors => {
  const names = Object.keys(tensors)
  const markers = new Set(
    markersOf(network).flatMap(({ name }) => name === beitPatches ? [name, name.slice(BEIT.length)] : [name])
  )
  const [prefix, another] = new Set(names.flatMap((name) => {
    const prefix = WRAPPED.exec(name)?.[0] ?? ""
    return markers.has(name.slice(prefix.length)) ? [prefix] : []
  }))
  if (prefix === undefined || prefix === "" || another !== undefined) return tensors
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => {
      const bare = name.slice(prefix.length)
      return [name.startsWith(prefix) && !Object.hasOwn(tensors, bare) ? bare : name, tensor]
    })
  )
}

/** Recognises a network of BEiT by its names: a classifier (its head has other names elsewhere), or a pretrained network. */
export const beitNetwork = (names: ReadonlyArray<string>): "classifier" | "pretrained" =>
  names.some((name) => /(?:^|\.)(?:classifier|pooler\.layernorm)\.(?:weight|bias)$/.test(name))
    ? "classifier"
    : "pretrained"

/** Recognises the naming of a network's tensors; `official` if the names are the same in several. */
export const detect = (names: ReadonlyArray<string>, network: Network): Result.Result<Naming, NamingError> => {
  const markers = markersOf(network)
  const found = markers.filter(({ name }) => names.includes(name)).map(({ naming }) => naming)
  const [only, another] = found
  return only === undefined || another !== undefined
    ? fail(network, { _tag: "Unclear", found, markers, names })
    : Result.succeed(only)
}

/**
 * Renames the tensors of a network to their official names. `named` gives the naming if the names alone are ambiguous. Tensors
 * for other purposes, such as index buffers or the text tower of CLIP, are left out. Prefixes of wrappers are removed:
 * `module.`, `_orig_mod.`, `backbone.`, `model.`. Unknown names stay as they are, so that loading the network lists them.
 *
 * Fails if the naming is neither given nor recognised, and if the naming has no such network.
 */
export const official = (
  given: Tensors,
  network: Network,
  named?: Naming
): Result.Result<Tensors, NamingError> => {
  const bare = unwrapped(given, network)
  // transformers calls a network without a head `BeitModel`, and its arrays what they are called inside of others.
  const tensors =
    (network === "classifier" || network === "pretrained") && Object.hasOwn(bare, beitPatches.slice(BEIT.length))
      ? Object.fromEntries(Object.entries(bare).map(([name, tensor]) => [`${BEIT}${name}`, tensor]))
      : bare
  const who = named === undefined ? detect(Object.keys(tensors), network) : Result.succeed(named)
  return Result.flatMap(who, (naming) => {
    const names = networks[network][naming]
    if (names === undefined) return nobody(network, naming)
    const { ignored, rules = [] } = names
    const readers = rules.flatMap(({ change, foreign, official }) =>
      [foreign].flat().map((pattern, part) => ({ rename: renaming(pattern), official, foreign, part, change }))
    )
    const zeros = new Set(rules.map((rule) => rule.zeros))
    const found: Array<Named> = []
    const inParts = new Map<string, Array<Named>>()
    for (const [name, tensor] of Object.entries(tensors)) {
      if (ignored?.test(name) || (zeros.has(name) && tensor.data.every((x) => x === 0))) continue
      const reader = readers.find(({ rename }) => rename(name, "") !== undefined)
      const renamed = reader?.rename(name, reader.official) ?? name
      if (typeof reader?.foreign === "object") {
        const parts = inParts.get(renamed) ?? []
        parts[reader.part] = [name, tensor]
        inParts.set(renamed, parts)
      } else found.push([renamed, reader?.change?.from(tensor) ?? tensor])
    }
    for (const [name, sparse] of inParts) {
      const parts = sparse.filter(() => true)
      const whole = joined(parts.map(([, tensor]) => tensor))
      found.push(...whole === undefined ? parts : [[name, whole] as const])
    }
    return Result.succeed(Object.fromEntries(found))
  })
}

/**
 * Renames officially named tensors of a network to another naming. Tensors that only official training needs (the aggregation
 * blocks of a pretrained network, index buffers) are left out if the other naming has no name for them.
 *
 * Fails if the naming has no such network, or no name for one of the tensors.
 */
export const to = (naming: Naming, tensors: Tensors, network: Network): Result.Result<Tensors, NamingError> => {
  const known = networks[network]
  const names = known[naming]
  if (names === undefined) return nobody(network, naming)
  const kept = Object.entries(tensors)
    .filter(([name]) => !known.official?.ignored?.test(name) && !names.left?.test(name))
  if (names.rules === undefined) return Result.succeed(Object.fromEntries(kept))

  const writers = names.rules.filter(({ only }) => only === undefined).map((rule) => ({
    ...rule,
    rename: renaming(rule.official)
  }))
  const translated = kept.map(([name, tensor]): ReadonlyArray<Named> => {
    const writer = writers.find(({ rename }) => rename(name, "") !== undefined)
    if (writer === undefined) return []
    const { change, foreign, rename, zeros } = writer
    if (typeof foreign === "object") {
      return thirds(tensor)?.map((third, i) => [rename(name, foreign[i]!)!, third] as const) ?? []
    }
    const changed = change?.to(tensor) ?? tensor
    const length = changed.shape[0] ?? 0
    return [
      [rename(name, foreign)!, changed],
      ...zeros === undefined
        ? []
        : [[zeros, { shape: [length], dtype: tensor.dtype, data: ElementType.zeros(tensor.dtype, length) }] as const]
    ]
  })
  const homeless = kept.filter((_, i) => translated[i]!.length === 0).map(([name]) => name)
  return homeless.length > 0
    ? fail(network, { _tag: "NoPlace", naming, names: homeless })
    : Result.succeed(Object.fromEntries(translated.flat()))
}
