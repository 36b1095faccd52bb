/**
 * The result of tokenizer training: a codebook, and the network that encodes images as codes.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Presets } from "patchword/domain"
 * import { Tokenizer } from "patchword/pipelines"
 *
 * const { codes, codeWidth } = Tokenizer.sizes(Presets.base.tokenizer, 512)
 * assert.deepStrictEqual([codes, codeWidth], [8192, 32])
 * ```
 */
import { Effect, Record, Result, Runtime, Schema } from "effect"
import type { TokenizerConfig } from "../../domain/config/TokenizerConfig.ts"
import * as NonFiniteValue from "../../domain/values/NonFiniteValue.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import type * as Weights from "../../layers/weights/Weights.ts"
import * as Quantizer from "../../nn/tokenizer/Quantizer.ts"
import * as Quantizers from "../../nn/tokenizer/Quantizers.ts"
import * as Vqkd from "../../nn/tokenizer/Vqkd.ts"
import * as Dim from "../../shapes/Dim.ts"
import type * as HostTensor from "../../shapes/HostTensor.ts"
import * as Tree from "../../shapes/Tree.ts"
import * as Inference from "./Inference.ts"
import * as VitSizes from "./VitSizes.ts"

/** A trained tokenizer: arrays under their official names. `quantize.embedding.weight` is the codebook. */
export interface Tokenizer {
  readonly config: TokenizerConfig
  readonly teacherWidth: number
  readonly tensors: Weights.Tensors
  /** The quantizer given in code, if the configuration names one. */
  readonly quantizer?: Quantizer.Named
}

/** The configuration of a tokenizer, and its quantizer if it was given in code. */
export type Configured = Pick<Tokenizer, "config" | "quantizer">

const Described = Schema.Struct({ name: Schema.String, codes: Schema.Int, codeWidth: Schema.Int })

const show = ({ codeWidth, codes, name }: typeof Described.Type) =>
  `"${name}" (${codes} codes of ${codeWidth} channels)`

/** A tokenizer is opened with another quantizer than it was trained with, or without the one given in code. */
export class OtherQuantizer extends TaggedError<OtherQuantizer>()("OtherQuantizer", {
  expected: Described,
  given: Schema.NullOr(Described),
  /** True if the quantizer was given in code. The file then holds its name only. */
  inCode: Schema.Boolean
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const { expected, given, inCode } = this
    const trained = `this tokenizer was trained with the quantizer ${show(expected)}`
    const other = given === null ? "" : `. The given one is ${show(given)}`
    return `${trained}. ${inCode ? "Its file has the name only" : "Its configuration describes it"}${other}`
  }
  get remedy() {
    return this.inCode
      ? "give that quantizer in code: Artifact.tokenizer(path, { quantizer })"
      : "give no quantizer in code"
  }
}

/** A quantizer returns a number that is not one of its codes, or invalid initial values. */
export class QuantizerError extends TaggedError<QuantizerError>()("QuantizerError", {
  quantizer: Schema.String,
  /** The function that returned it. */
  member: Schema.Literals(["quantize", "initial", "fit"]),
  problem: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `the quantizer "${this.quantizer}": ${this.problem}`
  }
  get remedy() {
    return `correct its function ${this.member}`
  }
}

/** Fails if a number is not one of the quantizer's codes. */
export const checkCodes = (
  quantizer: Pick<Quantizer.Named, "codes" | "name">,
  found: Int32Array
): Effect.Effect<void, QuantizerError> => {
  const { codes, name } = quantizer
  const given = found.find((code) => code < 0 || code >= codes)
  return given === undefined ? Effect.void : Effect.fail(
    new QuantizerError({
      quantizer: name,
      member: "quantize",
      problem: `expected codes from 0 to ${codes - 1}, got ${given}`
    })
  )
}

/** Fails if the initial values of a quantizer are not finite or do not have the shapes of `specs`. */
export const checkMembers = (
  quantizer: Pick<Quantizer.Named, "name">,
  member: "initial" | "fit",
  specs: object,
  values: object
): Effect.Effect<void, QuantizerError> => {
  const [wanted, found] = [new Map(Tree.leaves(specs)), new Map(Tree.leaves<HostTensor.Any>(values))]
  const [problem] = [...new Set([...wanted.keys(), ...found.keys()])].flatMap((path) => {
    const leaf = found.get(path)
    const [expected, given] = [Quantizer.show(wanted.get(path)), Quantizer.show(leaf)]
    if (expected !== given) return [`${member}: ${path}: expected ${expected}, got ${given}`]
    const bad = leaf && NonFiniteValue.first(leaf.data)
    return bad === undefined ? [] : [`${member}: ${path}: expected finite numbers, got ${bad.value}`]
  })
  return problem === undefined
    ? Effect.void
    : Effect.fail(new QuantizerError({ quantizer: quantizer.name, member, problem }))
}

/** Describes the quantizer that a tokenizer was trained with. The quantizer itself may be missing. */
const trainedWith = ({ codebook }: TokenizerConfig): typeof Described.Type => {
  const { dim, quantizer, size } = codebook
  const name = quantizer?.kind === "own" ? quantizer.name : Quantizers.of(codebook)?.name ?? ""
  return { name, codes: size, codeWidth: dim }
}

/** Describes a tokenizer in a few words. */
export const describe = (config: TokenizerConfig): string =>
  `a tokenizer with the quantizer ${show(trainedWith(config))}`

const givenAs = ({ codeWidth, codes, name }: Quantizer.Named): typeof Described.Type => ({ name, codes, codeWidth })

/** Returns the quantizer of a tokenizer: a built-in one that its configuration describes, or the one given in code. */
export const quantizer = (
  configured: Configured
): Result.Result<Quantizer.Named, OtherQuantizer> => {
  const { config, quantizer } = configured
  const ours = Quantizers.of(config.codebook)
  const expected = trainedWith(config)
  const given = quantizer === undefined ? null : givenAs(quantizer)
  const [found, other] = ours === undefined ? [quantizer, given && show(given) !== show(expected)] : [ours, given]
  return found === undefined || other
    ? Result.fail(new OtherQuantizer({ expected, given, inCode: ours === undefined }))
    : Result.succeed(found)
}

/** Returns the sizes of a tokenizer for a teacher of some width. */
export const sizes = (config: TokenizerConfig, teacherWidth: number) => ({
  ...VitSizes.plain(config.encoder),
  decoderDepth: config.decoderDepth,
  codes: Dim.named("codes", config.codebook.size),
  codeWidth: Dim.named("codeWidth", config.codebook.dim),
  teacherWidth: Dim.named("teacherWidth", teacherWidth)
})

/** The sizes of a tokenizer, as the network's type parameter. */
export type Sizes = ReturnType<typeof sizes>

/** Returns the arrays of a tokenizer for a teacher of some width, under their official names. */
export const spec = (sizes: Sizes, quantizer: Pick<Quantizer.Named, "parameters" | "state">): object => ({
  ...Vqkd.spec(sizes),
  quantize: { ...quantizer.parameters, ...quantizer.state }
})

/** Returns the names of training statistics. No inference reads them, so they are optional in files. */
export const statistics = (quantizer: Quantizer.Named): ReadonlySet<string> =>
  new Set(Tree.leaves({ quantize: quantizer.statistics }).map(([name]) => name))

/** Renames a tokenizer's arrays to the names of inferences without its quantizer. */
export const weights = (trained: Pick<Tokenizer, "tensors">): Weights.Tensors =>
  Inference.renamed(trained.tensors, (name) => name.startsWith("quantize.") ? undefined : `parameters.${name}`)

/** Returns the parts of inferences with the quantizer: sizes, quantizer, and the arrays under the names of inferences. */
export const open = Effect.fnUntraced(function*(tokenizer: Tokenizer) {
  const found = yield* Effect.fromResult(quantizer(tokenizer))
  const unread = statistics(found)
  return {
    sizes: sizes(tokenizer.config, tokenizer.teacherWidth),
    quantizer: found,
    tensors: {
      ...weights(tokenizer),
      ...Record.filter(tokenizer.tensors, (_, name) => name.startsWith("quantize.") && !unread.has(name))
    }
  }
})
