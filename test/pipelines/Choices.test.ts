import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TokenizerConfig } from "../../src/domain/config/TokenizerConfig.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as Choices from "../../src/pipelines/atlas/Choices.ts"
import * as CodeVectors from "../../src/pipelines/trained/CodeVectors.ts"
import * as Batches from "../../src/pipelines/training/Batches.ts"
import * as Encoder from "../../src/pipelines/training/Encoder.ts"
import { trainTokenizer } from "../../src/pipelines/TrainTokenizer.ts"
import { engine, images, micro, set, teacher } from "./kit.ts"

const BATCH = 8
const short = micro({ duration: 2, warmup: 1 }).tokenizer
const configOf = (codebook: Partial<TokenizerConfig["codebook"]>) =>
  new TokenizerConfig({ ...short, codebook: { ...short.codebook, ...codebook } })

const learned = { decay: null, revival: null, kmeans: false } as const

const kinds: Readonly<
  Record<string, { readonly codebook: Partial<TokenizerConfig["codebook"]>; readonly form: string }>
> = {
  "a moving average": { codebook: {}, form: "unit" },
  "codes learned by gradient": {
    codebook: { ...learned, quantizer: { kind: "gradient", commitment: 1 } },
    form: "unit"
  },
  "plain VQ": {
    codebook: { ...learned, quantizer: { kind: "gradient", commitment: 1, l2Normalize: false } },
    form: "any"
  },
  "finite scalars": {
    codebook: { ...learned, size: 60, dim: 3, quantizer: { kind: "finiteScalar", levels: [5, 4, 3] } },
    form: "bent"
  }
}

const unit = (row: Float32Array) => {
  const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0))
  return row.map((value) => value / length)
}

describe("choices of codes", () => {
  layer(Layer.mergeAll(engine, images))((it) => {
    for (const [name, { codebook, form }] of Object.entries(kinds)) {
      it.effect(`are the two nearest codes: ${name}`, () =>
        Effect.gen(function*() {
          const held = set("held", BATCH)
          const config = configOf(codebook)
          const { codebook: { dim, size }, encoder: { imageSize } } = config
          const tokenizer = yield* trainTokenizer(config).pipe(
            Effect.provide(Layer.mergeAll(Runs.layerMemory(), Layer.provide(teacher, images)), { local: true })
          )
          const options = { set: held, batchSize: BATCH, size: imageSize, augment: config.augment }
          const batch = yield* Batches.central(options, 0)
          const chosen = yield* (yield* Choices.open(tokenizer, held, BATCH))(batch)
          const { codes, vectors } = yield* (yield* Encoder.openVectors(tokenizer, held, BATCH))(batch)
          assert.deepStrictEqual(chosen.flatMap((one) => Array.from(one.codes)), Array.from(codes))
          const table = (yield* CodeVectors.of("test", tokenizer)).data
          const row = (of: Float32Array, at: number) => of.subarray(at * dim, (at + 1) * dim)
          const all = <A>(of: (one: typeof chosen[number]) => Iterable<A>) =>
            chosen.flatMap((one) => Array.from(of(one)))
          const seconds = all((one) => one.seconds!)
          const [first, second] = [all((one) => one.distances), all((one) => one.secondDistances!)]
          for (const [at, code] of codes.entries()) {
            assert.notStrictEqual(seconds[at], code)
            assert.isAtLeast(second[at]!, first[at]! - 1e-5)
            if (form === "bent") continue
            const z = form === "unit" ? unit(row(vectors, at)) : row(vectors, at)
            const distances = Array.from(
              { length: size },
              (_, other) => row(table, other).reduce((sum, value, i) => sum + (value - z[i]!) ** 2, 0)
            )
            const [nearest, next] = distances.toSorted((a, b) => a - b)
            assert.closeTo(first[at]!, nearest!, 1e-4)
            assert.closeTo(second[at]!, next!, 1e-4)
            assert.closeTo(distances[seconds[at]!]!, next!, 1e-4)
          }
        }).pipe(Effect.scoped))
    }
  })
})
