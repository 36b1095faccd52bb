import { assert, describe, it } from "@effect/vitest"
import * as WeightDecay from "../../src/domain/WeightDecay.ts"
import * as AdamW from "../../src/nn/AdamW.ts"
import * as Quantizer from "../../src/nn/Quantizer.ts"
import * as TokenizerStep from "../../src/nn/TokenizerStep.ts"
import * as Vit from "../../src/nn/Vit.ts"
import * as Vqkd from "../../src/nn/Vqkd.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf } from "../../src/shapes/Step.ts"
import type { Tensor } from "../../src/shapes/Tensor.ts"
import * as Tokens from "../../src/shapes/Tokens.ts"
import * as Eager from "./eager.ts"
import * as Teachers from "./teachers.ts"

const vit = Vit.dims({ image: 32, patch: 8, width: 32, heads: 2 })

type Params = Vqkd.VqkdParams<8, 32, 128, 2, 16, 8, 24>
type State = TokenizerStep.State<8, 32, 128, 2, 16, 64, 8, 24>

const betas = [0.9, 0.99] as const
const plain: AdamW.Options = { betas: [0, 0.99], weightDecay: 0, clipNorm: null, decays: () => false }
const official: AdamW.Options = {
  betas,
  weightDecay: 1e-4,
  clipNorm: null,
  decays: (path, rank) => WeightDecay.decays("tokenizer", path, rank)
}

const vestigial = /^(scaling_layer|quantize\.embedding\.(cluster_size|embed_avg|initted)$)/

describe.each(["vqkd_clip_dec1", "vqkd_dino_dec3"])("%s", (name) => {
  const fixture = Eager.fixture(name)
  const sizes = {
    vit,
    hidden: 128,
    depth: 2,
    decoderDepth: fixture.config.decoder_depth as number,
    qkvBias: true,
    codes: 64,
    codeWidth: 8,
    teacherWidth: 24
  } as const
  const step = (adamw: AdamW.Options) => TokenizerStep.step(sizes, 4, { decay: 0.99, revival: null, adamw })
  const { state: spec } = step(plain)
  const begin: HostOf<State> = Eager.filled<State>(spec, (path) => {
    const [group, ...rest] = path.split(".")
    if (path === "quantize.cluster_size") return new Float32Array(64)
    if (group === "quantize") return fixture.numbers(`state/${path}`)
    const values = fixture.numbers(`state/${rest.join(".")}`)
    return group === "parameters" ? values : values.map(() => 0)
  })
  const images = (batch: number) => HostTensor.make([4, 3, 32, 32], "float32", fixture.numbers(`input/images_${batch}`))
  const targets = HostTensor.make([4, 16, 24], "float32", fixture.numbers("eval/teacher_target"))
  const codebook = begin.quantize.embedding.weight

  it("has the official names", () => {
    const { parameters, quantize } = spec
    const ours = Eager.names({ ...parameters, quantize })
    assert.deepStrictEqual(ours, fixture.keys("state").filter((key) => !vestigial.test(key)))
  })

  it("has the official tokens, codes and reconstruction", () => {
    const found = Eager.eagerly(
      { parameters: begin.parameters, codebook, images: images(0), targets },
      (given: {
        readonly parameters: Params
        readonly codebook: Tensor<[64, 8]>
        readonly images: Tensor<[4, 3, 32, 32]>
        readonly targets: Tensor<[4, 16, 24]>
      }) => {
        const z = Vqkd.encode(given.parameters, given.images, 2)
        const { quantized, unit } = Quantizer.quantize(given.codebook, z)
        const pass = Vqkd.forward(given.parameters, given.codebook, given.images, given.targets, 2)
        return {
          tokens: Vqkd.encodeTokens(given.parameters, given.images, 2),
          z,
          unit,
          quantized,
          rebuilt: Vqkd.decode(given.parameters, Tokens.batched(quantized, 4, 16), 2),
          codes: pass.codes,
          commitment: pass.quantized.commitment,
          reconstruction: Vqkd.reconstruction(pass.cosine)
        }
      }
    )
    fixture.matches("eval/encoder_patch_tokens", found.tokens)
    fixture.matches("eval/z_raw", found.z)
    fixture.matches("eval/z_normalised", found.unit)
    fixture.matches("eval/reconstruction", found.rebuilt)
    fixture.matches("eval/rec_loss", found.reconstruction)
    fixture.matches("eval/quant_loss", found.commitment)
    assert.deepStrictEqual([...found.codes.data], [...fixture.tensor("eval/ids").data])
    const channelsFirst = fixture.numbers("eval/quantised_bchw")
    const rows = found.quantized.data.map((_, at) => {
      const [row, channel] = [Math.floor(at / 8), at % 8]
      return channelsFirst[(Math.floor(row / 16) * 8 + channel) * 16 + (row % 16)]!
    })
    Eager.close("eval/quantised_bchw", found.quantized.data, rows, fixture.bound("eval/quantised_bchw"))
  })

  it("gives the official codes and losses as inferences", () => {
    const weights = { parameters: begin.parameters, codebook }
    const encoded = Eager.infer(TokenizerStep.encode(sizes, 4), weights, { images: images(0) })
    const rebuilt = Eager.infer(TokenizerStep.reconstruct(sizes, 4), weights, { images: images(0), targets })
    const ids = [...fixture.tensor("eval/ids").data]
    assert.deepStrictEqual([...encoded.codes.data], ids)
    assert.deepStrictEqual([...rebuilt.codes.data], ids)
    fixture.matches("eval/z_raw", encoded.vectors)
    const mean = rebuilt.cosine.data.reduce((sum, x) => sum + x, 0) / rebuilt.cosine.data.length
    fixture.matches("eval/rec_loss", { data: [1 - mean] })
  })

  it("has the official losses, gradients and codebook of a training step", () => {
    const hyper = AdamW.hyper(0, 1e-3, { betas: plain.betas, eps: 1e-8 })
    const { metrics, state } = Eager.train(step(plain), begin, { images: images(0), targets, hyper })
    fixture.matches("train/total_loss", metrics.loss)
    fixture.matches("train/rec_loss", metrics.reconstruction)
    fixture.matches("train/quant_loss", metrics.commitment)
    fixture.matches("train/grad_global_norm", metrics.gradientNorm)
    fixture.matches("train/codebook_after", state.quantize.embedding.weight)
    fixture.matches("train/cluster_size_after", state.quantize.cluster_size)
    const counts = new Float32Array(64)
    for (const code of fixture.tensor("eval/ids").data) counts[code]!++
    assert.deepStrictEqual(metrics.counts.data, counts)
    const gradients = new Map(Eager.leaves(state.first))
    for (const path of fixture.keys("grad")) fixture.matches(`grad/${path}`, gradients.get(path)!)
  })

  it("decays the official parameters", () => {
    const decayed = Eager.leaves(spec.parameters).filter(([path, { shape }]) => official.decays(path, shape.length))
    const groups: ReadonlyArray<{ readonly weight_decay: number; readonly params: ReadonlyArray<string> }> =
      fixture.info.param_groups
    assert.sameMembers(decayed.map(([path]) => path), groups.find((group) => group.weight_decay > 0)!.params.slice())
  })

  it("has the official targets", () => {
    fixture.matches("eval/teacher_target", Teachers.targets(fixture.config.teacher, fixture.numbers("input/images_0")))
  })

  it("takes the official steps", () => {
    const batches = [0, 1].map((batch) => ({
      images: images(batch),
      targets: Teachers.targets(fixture.config.teacher, fixture.numbers(`input/images_${batch}`))
    }))
    let state = begin
    const measured = [0, 1, 0, 1, 0].map((batch, number) => {
      const hyper = AdamW.hyper(number, fixture.info.lr_schedule[number], { betas, eps: 1e-8 })
      const taken = Eager.train(step(official), state, { ...batches[batch]!, hyper })
      state = taken.state
      if ([0, 1, 4].includes(number)) {
        fixture.matches(`steps/codebook_${number + 1}`, state.quantize.embedding.weight)
        fixture.matches(`steps/cluster_size_${number + 1}`, state.quantize.cluster_size)
      }
      return taken.metrics
    })
    fixture.matches("steps/losses_total_rec_quant", {
      data: measured.flatMap(({ commitment, loss, reconstruction }) =>
        [loss, reconstruction, commitment].map(({ data }) => data[0]!)
      )
    })
    fixture.matches("steps/grad_norms", { data: measured.map(({ gradientNorm }) => gradientNorm.data[0]!) })
    const after = new Map(Eager.leaves(state.parameters))
    for (const path of fixture.keys("state_after_5")) fixture.matches(`state_after_5/${path}`, after.get(path)!)
  })
})
