import { assert, describe, it } from "@effect/vitest"
import * as Kmeans from "../../src/nn/Kmeans.ts"
import * as Dim from "../../src/shapes/Dim.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import * as Eager from "./eager.ts"

const fixture = Eager.fixture("quantizer")

const tolerance = { relative: 2e-5 }

const run = (name: string, rounds: number) => {
  const [samples, codes] = [fixture.tensor(`${name}/samples`), fixture.tensor(`${name}/start_rows`)]
  const [vectors, size] = [Dim.named("vectors", samples.shape[0]!), Dim.named("codes", codes.shape[0]!)]
  return Eager.eagerly(
    {
      vectors: HostTensor.make([vectors, 8], "float32", fixture.numbers(`${name}/samples`)),
      start: HostTensor.make([size], "int32", Int32Array.from(codes.data))
    },
    (given: {
      readonly vectors: Tensor<[Dim.Dim<"vectors">, 8]>
      readonly start: Tensor<[Dim.Dim<"codes">], "int32">
    }) => Kmeans.kmeans(given.vectors, given.start, rounds)
  )
}

const split = (means: ArrayLike<number>, bins: ArrayLike<number>, used: boolean) =>
  Array.from(bins, (bin, code) => ({ bin: Number(bin), mean: Array.from(means).slice(8 * code, 8 * code + 8) }))
    .filter(({ bin }) => bin > 0 === used)

describe("spherical k-means", () => {
  it.each([1, 2, 10])("has the official means and counts after %i rounds", (rounds) => {
    const found = run("kmeans_a", rounds)
    Eager.close("means", found.means.data, fixture.numbers(`kmeans_a/means_${rounds}`), tolerance)
    assert.deepStrictEqual([...found.counts.data], [...fixture.tensor(`kmeans_a/bins_${rounds}`).data])
  })

  describe.each(["kmeans_b_empty", "kmeans_c_fewer_samples_than_codes"])("%s, where equal starts compete", (name) => {
    it.each([1, 2, 10])("has the official means as a set after %i rounds", (rounds) => {
      const found = run(name, rounds)
      const official = split(
        fixture.numbers(`${name}/means_${rounds}`),
        fixture.tensor(`${name}/bins_${rounds}`).data,
        true
      )
      const ours = split(found.means.data, found.counts.data, true)
      assert.strictEqual(ours.length, official.length)
      for (const { bin, mean } of official) {
        const near = ours.filter((other) => other.mean.every((x, i) => Math.abs(x - mean[i]!) < 1e-5))
        assert.deepStrictEqual(near.map((other) => other.bin), [bin])
      }
    })
  })

  it("begins on the unit sphere as an inference", () => {
    const inference = Kmeans.inference(90, 20, 8)
    const start = HostTensor.make([20], "int32", Int32Array.from(fixture.tensor("kmeans_a/start_rows").data))
    const scaled = fixture.numbers("kmeans_a/samples").map((x, at) => x * (1 + (Math.floor(at / 8) % 7)))
    const vectors = HostTensor.make([90, 8], "float32", scaled)
    const { counts, means } = Eager.infer(inference, {}, { vectors, start })
    Eager.close("means", means.data, fixture.numbers("kmeans_a/means_10"), tolerance)
    assert.deepStrictEqual([...counts.data], [...fixture.tensor("kmeans_a/bins_10").data])
  })

  it("begins the quantizer's codebook", () => {
    const z = fixture.numbers("vq/z").slice(0, 1152)
    const rows = z.map((_, at) => {
      const [row, channel] = [Math.floor(at / 8), at % 8]
      return z[(Math.floor(row / 36) * 8 + channel) * 36 + (row % 36)]!
    })
    const { means } = Eager.infer(Kmeans.inference(144, 64, 8), {}, {
      vectors: HostTensor.make([144, 8], "float32", rows),
      start: HostTensor.make([64], "int32", Int32Array.from(fixture.tensor("vq/kmeans_start_rows").data))
    })
    fixture.matches("vq_kmeans/codebook_after_init", means)
  })
})
