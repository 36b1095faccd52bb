/**
 * Published networks as teachers. Their sizes come from their tensors, the other settings from configurations next to the
 * file.
 */
import { Effect, Result } from "effect"
import type * as Normalize from "../../domain/pixels/Normalize.ts"
import * as Grid from "../../domain/values/Grid.ts"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import * as Dim from "../../shapes/Dim.ts"
import type { Shape } from "../../shapes/Shape.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as Files from "../files/Files.ts"
import * as Weights from "../weights/Weights.ts"
import * as NetworkTeacher from "./NetworkTeacher.ts"
import * as TeacherConfig from "./TeacherConfig.ts"
import { ModelInvalid } from "./TeacherError.ts"

/** Options of a teacher that is a published network. */
export interface NetworkOptions {
  /**
   * Number of attention heads. Default: the one in a configuration next to the file, else heads of 64 channels, as in all
   * models of DINO and OpenAI.
   */
  readonly heads?: number
  /**
   * Mean and standard deviation of its input channels. Default: those in a configuration next to the file, else those of the
   * original release.
   */
  readonly channels?: Normalize.Channels
}

/** The source of published weights. */
export interface Origin {
  readonly name: "clip" | "dino"
  readonly source: string
  /** The tensors under the names that they have in the file. */
  readonly tensors: Weights.Tensors
  /** Settings in configurations next to the file. */
  readonly said: Effect.Success<ReturnType<typeof TeacherConfig.beside>>
}

/**
 * Reads sizes from axes of tensors. Fails with `Mismatch`, which lists all tensors that are missing or have another rank.
 * It also lists all tensors that the network does not have, because they help to find the cause.
 */
export const axesOf = <K extends string>(
  { tensors }: Weights.Weights,
  { source }: Origin,
  spec: object,
  axes: Readonly<Record<K, readonly [name: string, axis: number, rank: number]>>
): Effect.Effect<Readonly<Record<K, number>>, Weights.WeightsError> => {
  const asked = Object.entries<readonly [string, number, number]>(axes)
    .map(([key, [name, axis, rank]]) => ({ key, name, axis, rank, shape: tensors[name]?.shape as Shape | undefined }))
  const wrong = asked.filter(({ rank, shape }) => shape?.length !== rank)
    .map(({ name, rank, shape }) => ({ name, expected: `${rank} axes`, shape }))
  const known = new Set(Tree.leaves(spec).map(([path]) => path))
  const mismatch = new Weights.Mismatch({
    missing: wrong.filter(({ shape }) => shape === undefined).map(({ expected, name }) => ({ name, expected })),
    unexpected: Object.entries(tensors).filter(([name]) => !known.has(name))
      .map(([name, { shape }]) => ({ name, given: ShapeError.show(shape) })),
    misshaped: wrong.flatMap(({ expected, name, shape }) =>
      shape === undefined ? [] : [{ name, expected, given: ShapeError.show(shape) }]
    )
  })
  return wrong.length > 0
    ? Effect.fail(new Weights.WeightsError({ source, reason: mismatch }))
    : Effect.succeed(
      Object.fromEntries(asked.map(({ axis, key, shape }) => [key, shape![axis]!])) as Readonly<Record<K, number>>
    )
}

/** Returns the number of blocks: the highest number in the tensors' names plus one, but at most the number of tensors. */
export const depthOf = ({ tensors }: Weights.Weights, prefix: string): number => {
  const names = Object.keys(tensors)
  const numbers = names.filter((name) => name.startsWith(prefix))
    .map((name) => Number.parseInt(name.slice(prefix.length), 10) + 1)
  return Math.min(numbers.reduce((depth, number) => Math.max(depth, number || 0), 0), names.length)
}

/**
 * Returns the value in the options, else the value in a configuration next to the file, else the usual value. It logs a
 * value from a configuration if this is not the usual one.
 */
export const chosen = Effect.fnUntraced(function*<A>(
  origin: Origin,
  what: string,
  asked: A | undefined,
  told: TeacherConfig.Told<A> | undefined,
  usual: A
) {
  if (asked !== undefined || told === undefined) return asked ?? usual
  if (JSON.stringify(told.value) !== JSON.stringify(usual)) {
    yield* Effect.logInfo(`teacher ${origin.name}: ${what} ${JSON.stringify(told.value)}, as ${told.file} says`)
  }
  return told.value
})

/**
 * Returns the activation function in a configuration, if there is one. Fails with `ModelInvalid` if it is not one of
 * `known`.
 */
export const activationOf = <A extends string>({ said }: Origin, ...known: ReadonlyArray<A>) => {
  const told = TeacherConfig.told(said, "activation")
  if (told === undefined) return Effect.undefined
  const value = known.find((one) => one === told.value)
  const problem = `${told.file} has hidden_act "${told.value}", but ${known.join(" or ")} is expected`
  return value === undefined
    ? Effect.fail(new ModelInvalid({ problem, remedy: "use other weights" }))
    : Effect.succeed({ file: told.file, value })
}

/**
 * Returns the part of the digest for a setting. It is empty for the usual value, so the digest is then that of a file
 * without configuration.
 */
export const unlike = <A>(value: A, usual: A): ReadonlyArray<string> => {
  const text = JSON.stringify(value)
  return text === JSON.stringify(usual) ? [] : [text]
}

/**
 * Returns the mean and standard deviation of the network's channels, the epsilon of its layer norms, and the part of the
 * digest for both.
 */
export const norms = Effect.fnUntraced(function*(
  origin: Origin,
  options: NetworkOptions,
  usual: { readonly CHANNELS: Normalize.Channels; readonly EPSILON: number }
) {
  const told = <K extends "channels" | "epsilon">(key: K) => TeacherConfig.told(origin.said, key)
  const channels = yield* chosen(origin, "channels", options.channels, told("channels"), usual.CHANNELS)
  const epsilon = yield* chosen(origin, "layer_norm_eps", undefined, told("epsilon"), usual.EPSILON)
  return { channels, epsilon, unusual: [...unlike(epsilon, usual.EPSILON), ...unlike(channels, usual.CHANNELS)] }
})

/** Usual number of channels of a head. */
const HEAD = 64

/**
 * Determines the sizes that all transformers have from the sizes of their tensors. The number of heads comes from the
 * options, else from a configuration. Else heads have 64 channels, up to the width `widest`: some wider networks have other
 * heads. Fails with `ModelInvalid` if the number of heads is unknown. Fails with `Mismatch` if it does not divide the
 * width, or if the positions are not those of a square.
 */
export const sizesOf = Effect.fnUntraced(function*(
  origin: Origin,
  options: NetworkOptions,
  positions: string,
  found: Readonly<Record<"patch" | "width" | "hidden" | "tokens", number>>,
  widest = Infinity
) {
  const { hidden, patch, tokens, width } = found
  const usual = width <= widest && width % HEAD === 0 ? width / HEAD : undefined
  const heads = options.heads ?? TeacherConfig.told(origin.said, "heads")?.value ?? usual
  if (heads === undefined) {
    const problem = `the number of heads of a network of ${width} channels is unknown`
    return yield* new ModelInvalid({ problem, remedy: "give it by --teacher-heads (in code heads)" })
  }
  const side = Math.sqrt(tokens - 1)
  if (!(Number.isInteger(side) && side > 0 && Number.isInteger(heads) && heads > 0 && width % heads === 0)) {
    const misshaped = {
      name: positions,
      expected: `one row more than a square number, and a width that ${heads} heads divide`,
      given: ShapeError.show([tokens, width])
    }
    const reason = new Weights.Mismatch({ missing: [], unexpected: [], misshaped: [misshaped] })
    return yield* new Weights.WeightsError({ source: origin.source, reason })
  }
  return {
    patch: Dim.named("patch", patch),
    width: Dim.named("width", width),
    hidden: Dim.named("hidden", hidden),
    heads: Dim.named("heads", heads),
    tokens: Dim.named("positions", tokens),
    grid: Grid.square(side)
  }
})

/**
 * Arranges the tensors of a network in its shapes. The digest covers the tensors and the settings `more`, which change
 * features too.
 */
export const fitted = <T extends object>(
  spec: T,
  weights: Weights.Weights,
  { source }: Origin,
  ...more: ReadonlyArray<string | number>
) =>
  Effect.fromResult(Result.map(Weights.conform(spec, weights, source), (parameters) => ({
    parameters,
    digest: Files.sha256([Files.sha256(Safetensors.encode(weights.tensors)), ...more].join(" "))
  })))

/** Placeholder sizes: with them, a specification has the right tensors but no right shapes. */
export const HOLLOW = { patch: 1, width: 1, hidden: 1, heads: 1, out: 1, tokens: 2, grid: Grid.square(1) } as const

/** Returns the sizes of a batch with names for errors. */
export const named = (batch: NetworkTeacher.Batch) =>
  ({
    size: Dim.named("images", batch.size),
    height: Dim.named("height", batch.height),
    width: Dim.named("width", batch.width)
  }) as const

/**
 * Reads a network from weights, from a file of weights, or from a folder with such a file. `network` builds it from weights under
 * official names.
 */
export const read = <A>(
  name: "clip" | "dino",
  given: Weights.Weights | string,
  network: (weights: Weights.Weights, origin: Origin) => Effect.Effect<A, Weights.WeightsError | ModelInvalid>
) =>
  Effect.gen(function*() {
    const file = typeof given === "string" ? yield* TeacherConfig.fileOf(given) : undefined
    const source = file ?? name
    const weights = typeof given === "string" ? yield* Weights.read(source) : given
    const said = file === undefined ? [] : yield* TeacherConfig.beside(name, file)
    const { tensors } = weights
    return yield* Weights.official(weights, name, { source }).pipe(
      Effect.flatMap((official) => network(official, { name, source, tensors, said })),
      Effect.catchTag("WeightsError", (error) => Weights.describing(tensors)(Effect.fail(error)))
    )
  })

/** Makes a teacher from a network that {@link read} reads. */
export const make = (
  name: "clip" | "dino",
  given: Weights.Weights | string,
  network: (
    weights: Weights.Weights,
    origin: Origin
  ) => Effect.Effect<NetworkTeacher.Network, Weights.WeightsError | ModelInvalid>
) => NetworkTeacher.make(name, read(name, given, network))
