/** Networks that others published, as teachers: sizes from their tensors, the rest from configurations beside them. */
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

/** How a published network is a teacher. */
export interface NetworkOptions {
  /**
   * Attention heads. When absent, what a configuration beside the file says, else heads of 64 channels, which DINO's and
   * OpenAI's all are.
   */
  readonly heads?: number
  /**
   * What it expects of its pixels. When absent, what a configuration beside the file says, else what the networks of its
   * kind were published with.
   */
  readonly channels?: Normalize.Channels
}

/** Where published weights come from. */
export interface Origin {
  readonly name: "clip" | "dino"
  readonly source: string
  /** The tensors as the file has them. */
  readonly tensors: Weights.Tensors
  /** What configurations beside the file say. */
  readonly said: Effect.Success<ReturnType<typeof TeacherConfig.beside>>
}

/**
 * Sizes of axes of tensors. Fails with all tensors that are missing or of another rank, and with those that the network
 * does not have: they may say why.
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

/** How many blocks there are, by the highest number in their names; no more than tensors, whatever the names say. */
export const depthOf = ({ tensors }: Weights.Weights, prefix: string): number => {
  const names = Object.keys(tensors)
  const numbers = names.filter((name) => name.startsWith(prefix))
    .map((name) => Number.parseInt(name.slice(prefix.length), 10) + 1)
  return Math.min(numbers.reduce((depth, number) => Math.max(depth, number || 0), 0), names.length)
}

/** What the options say, else a configuration beside the file, which is logged where it is not what is usual. */
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

/** The activation that a configuration says, if any. Fails when it is none of those that are computed. */
export const activationOf = <A extends string>({ said }: Origin, ...known: ReadonlyArray<A>) => {
  const told = TeacherConfig.told(said, "activation")
  if (told === undefined) return Effect.undefined
  const value = known.find((one) => one === told.value)
  const problem = `${told.file} says hidden_act "${told.value}", but ${known.join(" and ")} is what is computed`
  return value === undefined
    ? Effect.fail(new ModelInvalid({ problem }))
    : Effect.succeed({ file: told.file, value })
}

/** What is unusual, for the digest: that stays the one of files about which nothing is said. */
export const unlike = <A>(value: A, usual: A): ReadonlyArray<string> => {
  const text = JSON.stringify(value)
  return text === JSON.stringify(usual) ? [] : [text]
}

/** How the network's pixels are standardised, the epsilon of its layer norms, and what of both is unusual. */
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

/** Channels of a head. */
const HEAD = 64

/**
 * The sizes that transformers have in common, from those of their tensors. Heads are as many as are said, else of the usual
 * channels where no other network of its width has others; `widest` is the greatest such width. Fails when nothing says how
 * many there are, when they do not divide the width, and when the positions are not those of a square.
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
    const problem = `nothing says how many heads a network of ${width} channels has; say it by heads (--teacher-heads)`
    return yield* new ModelInvalid({ problem })
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

/** The tensors of a network in its shapes, and a digest of them and of what else changes its features. */
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

/** Sizes that say how many tensors there are, and nothing of their shapes. */
export const HOLLOW = { patch: 1, width: 1, hidden: 1, heads: 1, out: 1, tokens: 2, grid: Grid.square(1) } as const

/** The sizes of a batch with names for errors. */
export const named = (batch: NetworkTeacher.Batch) =>
  ({
    size: Dim.named("images", batch.size),
    height: Dim.named("height", batch.height),
    width: Dim.named("width", batch.width)
  }) as const

/** A teacher of weights, of a file of them or of a folder with one; `network` is what they are under official names. */
export const make = (
  name: "clip" | "dino",
  given: Weights.Weights | string,
  network: (
    weights: Weights.Weights,
    origin: Origin
  ) => Effect.Effect<NetworkTeacher.Network, Weights.WeightsError | ModelInvalid>
) => {
  const made = Effect.gen(function*() {
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
  return NetworkTeacher.make(name, made)
}
