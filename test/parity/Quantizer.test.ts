import { assert, describe, it } from "@effect/vitest"
import * as Quantizer from "../../src/nn/Quantizer.ts"
import * as Elementwise from "../../src/shapes/Elementwise.ts"
import * as Gradient from "../../src/shapes/Gradient.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Reduction from "../../src/shapes/Reduction.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import * as Eager from "./eager.ts"

const fixture = Eager.fixture("quantizer")

const rowsOf = (values: Float32Array): Float32Array =>
  values.map((_, at) => {
    const [row, channel] = [Math.floor(at / 8), at % 8]
    return values[(Math.floor(row / 36) * 8 + channel) * 36 + (row % 36)]!
  })

const vectors = (call: number) =>
  HostTensor.make([144, 8], "float32", rowsOf(fixture.numbers("vq/z").slice(call * 1152, (call + 1) * 1152)))

const cotangent = HostTensor.make([144, 8], "float32", rowsOf(fixture.numbers("vq/cotangent_zq")))

interface Inputs {
  readonly state: Quantizer.QuantizerState<64, 8>
  readonly z: Tensor<[144, 8]>
  readonly cotangent: Tensor<[144, 8]>
}

const call = (decay: number) => ({ cotangent: upstream, state, z }: Inputs) => {
  const { aux, gradients } = Gradient.valueAndGradient((params: { readonly z: Tensor<[144, 8]> }) => {
    const quantized = Quantizer.quantize(state.embedding.weight, params.z)
    return {
      loss: Elementwise.add(
        Reduction.sum(Elementwise.mul(quantized.quantized, upstream)),
        Elementwise.scale(quantized.commitment, 3)
      ),
      aux: quantized
    }
  }, { z })
  return { aux, gradients, followed: Quantizer.follow(state, aux, { decay, revival: null, vectors: 144 }) }
}

describe.each([
  ["vq_kmeans", 0.99, "vq_kmeans/codebook_after_init"],
  ["vq_random", 0.99, "vq/random_start_codebook"],
  ["vq_random_decay0.9", 0.9, "vq/random_start_codebook"]
])("%s", (name, decay, start) => {
  const key = (what: string) => `${name}/${what}`
  let state = {
    embedding: { weight: HostTensor.make([64, 8], "float32", fixture.numbers(start)) },
    cluster_size: HostTensor.zeros([64], "float32")
  }

  it.each([0, 1, 2, 3, 4])("call %i", (number) => {
    const found = Eager.eagerly({ state, z: vectors(number), cotangent }, call(decay))
    assert.deepStrictEqual([...found.aux.codes.data], [...fixture.tensor(key(`ids_${number}`)).data])
    fixture.matches(key(`loss_${number}`), found.aux.commitment)
    fixture.matches(key(`zq_${number}`), found.aux.quantized, rowsOf)
    if (number < 2) fixture.matches(key(`grad_z_${number}`), found.gradients.z, rowsOf)
    fixture.matches(key(`codebook_${number + 1}`), found.followed.state.embedding.weight)
    fixture.matches(key(`cluster_size_${number + 1}`), found.followed.state.cluster_size)
    state = found.followed.state
  })

  it("evaluation", () => {
    const { quantized } = Eager.eagerly(
      { codebook: state.embedding.weight, z: vectors(0) },
      (given: { readonly codebook: Tensor<[64, 8]>; readonly z: Tensor<[144, 8]> }) => ({
        quantized: Quantizer.quantize(given.codebook, given.z)
      })
    )
    assert.deepStrictEqual([...quantized.codes.data], [...fixture.tensor(key("eval_ids")).data])
    fixture.matches(key("eval_loss"), quantized.commitment)
  })
})

describe("the worked example in two dimensions", () => {
  it("has the codes, the loss and the codebook that were computed by hand", () => {
    const { cluster_size: size, codebook, ids, loss } = fixture.info.spec_2d_example
    const found = Eager.eagerly(
      {
        state: {
          embedding: { weight: HostTensor.make([3, 2], "float32", Float32Array.of(1, 0, 0, 1, -1, 0)) },
          cluster_size: HostTensor.zeros([3], "float32")
        },
        z: HostTensor.make([4, 2], "float32", Float32Array.of(3, 1, 2, 2.5, 1, 4, 5, 0))
      },
      (given: { readonly state: Quantizer.QuantizerState<3, 2>; readonly z: Tensor<[4, 2]> }) => {
        const quantized = Quantizer.quantize(given.state.embedding.weight, given.z)
        return { quantized, next: Quantizer.follow(given.state, quantized, { decay: 0.99, revival: null, vectors: 4 }) }
      }
    )
    assert.deepStrictEqual([...found.quantized.codes.data], ids)
    Eager.close("loss", found.quantized.commitment.data, [loss], { relative: 1e-6 })
    Eager.close("codebook", found.next.state.embedding.weight.data, codebook.flat(), { relative: 1e-6 })
    Eager.close("cluster_size", found.next.state.cluster_size.data, size, { relative: 1e-6 })
  })
})
