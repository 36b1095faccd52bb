/**
 * Decodes the configurations of other libraries. A key is supported, known to change no number here, or refused by name.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Schema } from "effect"
 * import { ForeignConfig } from "patchword/domain"
 *
 * const read = ForeignConfig.decode(Schema.Struct({ hidden_act: Schema.Literal("gelu") }), "config.json", ["torch_dtype"])
 * const error = Effect.runSync(Effect.flip(read({ hidden_act: "relu", torch_dtype: "float32" })))
 * assert.deepStrictEqual(error.problems.map(({ path }) => path), ["hidden_act"])
 * ```
 */
import { Effect, Record, Runtime, Schema } from "effect"
import * as Config from "../config/Config.ts"
import { TaggedError } from "../values/TaggedError.ts"

/** A file asks for something that is not supported. */
export class ForeignError extends TaggedError<ForeignError>()("ForeignError", {
  file: Schema.String,
  problems: Schema.NonEmptyArray(Config.Problem)
}) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    const problems = this.problems.map(({ message, path }) => (path === "" ? message : `${path}: ${message}`))
    return `${this.file} has values that are not supported here, so outputs would differ: ${problems.join(", ")}`
  }
  get remedy() {
    return "use a network with the supported values"
  }
}

/** Makes the error for one unsupported value of a file. */
export const refusal = (file: string, path: string, message: string): ForeignError =>
  new ForeignError({ file, problems: [{ path, message }] })

/**
 * Decodes the members of a file. Members without a value, and those of `neutral`, which change no number, are removed first.
 * The schema must know all others.
 *
 * @returns an effect that fails with a {@link ForeignError} listing every problem.
 */
export const decode = <A, I>(schema: Schema.Codec<A, I>, file: string, neutral: ReadonlyArray<string>) => {
  const read = Config.decode(schema, file)
  return (members: Readonly<Record<string, unknown>>): Effect.Effect<A, ForeignError> =>
    read(Record.filter(members, (value, key) => value !== null && !neutral.includes(key))).pipe(
      Effect.mapError(({ problems }) => new ForeignError({ file, problems }))
    )
}
