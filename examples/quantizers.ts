import { Activation, Codes, Elementwise, HostTensor, Linear, Reduction, Tensor } from "patchword/shapes"

/** What a quantizer makes of vectors `[M, C]`: others, which gradients pass, and their codes. */
export interface Quantized<in out M extends number, in out C extends number> {
  readonly vectors: Tensor.Tensor<[M, C]>
  readonly codes: Tensor.Tensor<[M], "int32">
}

/**
 * Finite scalar quantization: each channel is bent between two bounds and rounded to one of its levels. It has no codebook
 * and learns nothing; the code is the number whose digits are the levels, the first channel's first.
 */
export const finiteScalar = <const L extends ReadonlyArray<number>>(levels: L) => {
  const channels: L["length"] = levels.length
  const row = (of: (level: number, channel: number) => number): Tensor.Tensor<[L["length"]]> =>
    Tensor.constant(HostTensor.make([channels], "float32", Float32Array.from(levels, of)))
  const half = (level: number) => (level - 1) * 1.001 / 2
  // An even number of levels has none in the middle.
  const offset = (level: number) => (level % 2 === 0 ? 0.5 : 0)
  const middle = (level: number) => Math.floor(level / 2)
  return <M extends number>(x: Tensor.Tensor<[M, L["length"]]>): Quantized<M, L["length"]> => {
    const bent = Activation.tanh(Elementwise.addBias(x, row((level) => Math.atanh(offset(level) / half(level)))))
    const bounded = Elementwise.addBias(Elementwise.scaleChannels(bent, row(half)), row((level) => -offset(level)))
    const whole = Codes.straightThrough(bounded, Elementwise.round(bounded))
    const digits = Elementwise.addBias(whole, row(middle))
    const weight = row((_, channel) => levels.slice(0, channel).reduce((product, level) => product * level, 1))
    return {
      vectors: Elementwise.scaleChannels(whole, row((level) => 1 / middle(level))),
      codes: Codes.fromFloat(Reduction.sumAlong(Elementwise.scaleChannels(digits, weight), 1))
    }
  }
}

/** What a codebook that learns by gradient adds to the loss. */
export interface Pull {
  /** Pulls the codebook to the vectors. */
  readonly codebook: Tensor.Tensor<[]>
  /** Pulls the vectors to the codebook. */
  readonly commitment: Tensor.Tensor<[]>
}

const distance = <M extends number, C extends number>(
  a: Tensor.Tensor<[M, C]>,
  b: Tensor.Tensor<[M, C]>
): Tensor.Tensor<[]> => Reduction.mean(Elementwise.square(Elementwise.sub(a, b)))

/** The nearest rows of a codebook `[K, C]`, which learns by gradient. */
export const learned = <M extends number, C extends number, K extends number>(
  x: Tensor.Tensor<[M, C]>,
  codebook: Tensor.Tensor<[K, C]>
): Quantized<M, C> & Pull => {
  // Of |x - c|² only what depends on c: the least distance has the largest x·c - |c|²/2.
  const lengths = Reduction.sumAlong(Elementwise.square(codebook), 1)
  const nearness = Elementwise.addBias(Linear.project(x, codebook), Elementwise.scale(lengths, -0.5))
  const codes = Codes.argMax(nearness)
  const rows = Codes.lookup(codebook, codes)
  return {
    vectors: Codes.straightThrough(x, rows),
    codes,
    codebook: distance(rows, Elementwise.stopGradient(x)),
    commitment: distance(x, Elementwise.stopGradient(rows))
  }
}
