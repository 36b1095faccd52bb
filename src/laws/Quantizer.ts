/** Laws of all quantizers. */
import * as Quantizer from "../nn/tokenizer/Quantizer.ts"
import * as Elementwise from "../shapes/Elementwise.ts"
import * as Gradient from "../shapes/Gradient.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import * as Reduction from "../shapes/Reduction.ts"
import type { HostOf } from "../shapes/Step.ts"
import type { Tensor } from "../shapes/Tensor.ts"
import * as Tree from "../shapes/Tree.ts"
import * as Arbitraries from "./Arbitraries.ts"
import * as Claim from "./Claim.ts"
import * as Eager from "./Eager.ts"
import { fc } from "./FastCheck.ts"
import { type Law, make } from "./Law.ts"
import * as Rows from "./Rows.ts"

/** Options for the laws of a quantizer. */
export interface QuantizerOptions {
  /** Names of losses that may be negative, such as a difference of entropies. None by default. */
  readonly signed?: ReadonlyArray<string>
}

// Lengths of vectors. A network that begins or diverges gives them all; squares of the longest still fit in single precision.
const lengths = [1, 1, 1, 1e-15, 0, 1e4, 1e15]

/**
 * Returns the laws of any quantizer, with or without a codebook. `learned` returns possible parameters and state, different
 * ones for each seed. It returns an empty record for a quantizer without parameters and state.
 */
export const quantizer = <K extends number, E extends number, Q extends Quantizer.Parts>(
  of: Quantizer.Quantizer<K, E, Q>,
  learned: (seed: number) => HostOf<Quantizer.Learned<Q>>,
  options: QuantizerOptions = {}
): ReadonlyArray<Law> => {
  const { codeWidth, codes: size } = of
  interface Given {
    readonly learned: Quantizer.Learned<Q>
    readonly vectors: Tensor<[number, E]>
    /** The gradient of the values. */
    readonly upstream: Tensor<[number, E]>
  }
  const vectors = fc.array(
    fc.record({ vector: Arbitraries.vector(codeWidth), length: fc.constantFrom(...lengths) }),
    { minLength: 1, maxLength: 20, size: "max" }
  ).map((all) => all.map(({ length, vector }) => vector.map((x) => x * length + 0)))
  const asked = fc.record({ vectors, seed: fc.nat() })
  // Vectors of about unit length: far ones would all be at the bounds of a quantizer that has some.
  const given = (vectors: Rows.Rows, seed: number) =>
    ({
      learned: learned(seed),
      vectors: Rows.toHost(vectors.map((vector) => vector.map((x) => x / 50)), codeWidth),
      upstream: Rows.toHost(vectors.map((vector) => vector.map((x, at) => Math.sin(seed + x + at))), codeWidth)
    }) as HostOf<Given>
  const found = (vectors: Rows.Rows, seed: number) => {
    const { codes, z, z_q } = Eager.run<Given, Pick<Quantizer.Quantized<number, E>, "codes" | "z" | "z_q">>(
      given(vectors, seed),
      ({ learned, vectors }) => {
        const { codes, z, z_q } = Quantizer.quantize(of, learned, vectors)
        return { codes, z, z_q }
      }
    )
    return { codes: Array.from(codes.data), z: Rows.fromHost(z), z_q: Rows.fromHost(z_q) }
  }
  const losses = (vectors: Rows.Rows, seed: number) => {
    const all = given(vectors, seed)
    const values = Eager.run<Given, Quantizer.Parts["losses"]>(
      all,
      ({ learned, vectors }) => Quantizer.quantize(of, learned, vectors).losses
    )
    return Tree.leaves<HostTensor.HostTensor<[], "float32">>(values).map(([name, value]) => {
      const { gradients } = Eager.run<Given, { readonly gradients: Pick<Given, "learned" | "vectors"> }>(
        all,
        ({ learned, vectors }) => ({
          gradients: Gradient.valueAndGradient(
            (moved: Pick<Given, "learned" | "vectors">) => {
              const { losses } = Quantizer.quantize(of, moved.learned, moved.vectors)
              return { loss: new Map(Tree.leaves<Tensor<[]>>(losses)).get(name)!, aux: {} }
            },
            { learned, vectors }
          ).gradients
        })
      )
      return { name, value, slopes: Tree.leaves<HostTensor.Any>(gradients) }
    })
  }
  const near = (vectors: Rows.Rows, seed: number) =>
    vectors.map((vector, row) => vector.map((_, at) => 50 * Math.sin(1 + 5 * seed + 3 * row + at)))
  const parameters = new Set(Tree.leaves(of.parameters ?? {}).map(([path]) => `learned.${path}`))
  const slopes = (vectors: Rows.Rows, seed: number, member: "z" | "z_q") =>
    Tree.leaves<HostTensor.Any>(Eager.run<Given, Pick<Given, "learned" | "vectors">>(
      given(vectors, seed),
      ({ learned, upstream, vectors }) =>
        Gradient.valueAndGradient((moved: Pick<Given, "learned" | "vectors">) => {
          const values = Quantizer.quantize(of, moved.learned, moved.vectors)[member]
          return { loss: Reduction.sum(Elementwise.mul(values, upstream)), aux: {} }
        }, { learned, vectors }).gradients
    ))
  const slope = (vectors: Rows.Rows, seed: number, member: "z" | "z_q") =>
    new Map(slopes(vectors, seed, member)).get("vectors")!.data

  return [
    make("gives every vector a valid code and a finite value", asked, ({ seed, vectors }) => {
      const { codes, z, z_q } = found(vectors, seed)
      Claim.same(codes.length, vectors.length, "the number of codes")
      const strange = codes.find((code) => !(code >= 0 && code < size))
      Claim.holds(strange === undefined, () => `code ${strange} is not in 0..${size - 1}`)
      Claim.same(z_q.length, vectors.length, "the number of values")
      for (const [what, rows] of [["z", z], ["z_q", z_q]] as const) {
        const at = rows.findIndex((row) => !row.every(Number.isFinite))
        Claim.holds(at < 0, () => `${what} is ${Rows.show(rows[at]!)} at vector ${at}`)
      }
    }),

    make("gives a vector the same code in any batch", asked, ({ seed, vectors }) => {
      const { codes } = found(vectors, seed)
      vectors.forEach((vector, at) =>
        Claim.same(found([vector], seed).codes[0], codes[at], `the code of vector ${at} alone`)
      )
    }, { numRuns: 20 }),

    make("gives equal codes equal values", asked, ({ seed, vectors }) => {
      const { codes, z_q } = found(vectors, seed)
      codes.forEach((code, at) => {
        const first = codes.indexOf(code)
        Claim.close(z_q[at]!, z_q[first]!, 1e-6, `the value of code ${code} at vector ${at}, not ${first},`)
      })
    }),

    make("passes the gradient straight through", asked, ({ seed, vectors }) => {
      Claim.close(
        slope(vectors, seed, "z_q"),
        slope(vectors, seed, "z"),
        (expected) => 1e-4 * (1 + Math.abs(expected)),
        "the gradient of the vectors"
      )
    }),

    make("has losses that are finite, non-negative scalars", asked, ({ seed, vectors }) => {
      for (const { name, slopes, value } of losses(vectors, seed)) {
        Claim.same([...value.shape], [], `the shape of the loss ${name}`)
        const number = HostTensor.item(value)
        Claim.holds(
          Number.isFinite(number) && (number >= 0 || options.signed?.includes(name) === true),
          () => `the loss ${name} is ${number}`
        )
        for (const [path, { data }] of slopes) {
          const strange = data.find((x) => !Number.isFinite(x))
          Claim.holds(
            strange === undefined,
            () => `the gradient of the loss ${name} with respect to ${path} contains ${strange}`
          )
        }
      }
    }, { numRuns: 30 }),

    make("has losses that depend on the vectors and have gradients", asked, ({ seed, vectors }) => {
      const usual = [0, 1, 2, 3].map((at) => losses(near(vectors, seed + at), seed + at))
      usual[0]!.forEach(({ name }, which) => {
        const all = usual.map((each) => each[which]!)
        const numbers = all.map(({ value }) => HostTensor.item(value))
        const slopes = all.flatMap(({ slopes }) => slopes.filter(([, { data }]) => data.some((x) => x !== 0)))
        // A loss with the factor 0 is 0 and pulls nothing.
        if (slopes.length === 0 && numbers.every((x) => x === 0)) return
        Claim.holds(new Set(numbers).size > 1, () => `the loss ${name} is ${numbers[0]} for all vectors`)
        Claim.holds(
          slopes.some(([path]) => path === "vectors" || parameters.has(path)),
          () => `the loss ${name} has no gradient with respect to the vectors or a parameter`
        )
      })
    }, { numRuns: 5 }),

    ...(parameters.size === 0 ? [] : [
      make("has gradients for all its parameters", asked, ({ seed, vectors }) => {
        const moved = new Set([0, 1, 2, 3].flatMap((at) => {
          const usual = near(vectors, seed + at)
          return [...losses(usual, seed + at).flatMap(({ slopes }) => slopes), ...slopes(usual, seed + at, "z_q")]
            .filter(([, { data }]) => data.some((x) => x !== 0)).map(([path]) => path)
        }))
        const still = [...parameters].find((path) => !moved.has(path))
        Claim.holds(still === undefined, () => `neither a loss nor z_q has a gradient with respect to ${still}`)
      }, { numRuns: 5 })
    ])
  ]
}
