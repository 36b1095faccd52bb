import * as Vit from "../../src/nn/Vit.ts"
import * as Activation from "../../src/shapes/Activation.ts"
import * as Attention from "../../src/shapes/Attention.ts"
import * as Elementwise from "../../src/shapes/Elementwise.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Linear from "../../src/shapes/Linear.ts"
import * as Normalization from "../../src/shapes/Normalization.ts"
import * as Tensor from "../../src/shapes/Tensor.ts"
import * as Tokens from "../../src/shapes/Tokens.ts"
import * as Eager from "./eager.ts"

type Images = Tensor.Tensor<[4, 3, 32, 32]>

const colours = {
  dino: { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] },
  clip: { mean: [0.48145466, 0.4578275, 0.40821073], deviation: [0.26862954, 0.26130258, 0.27577711] }
}

const normalised = (teacher: keyof typeof colours, images: Float32Array) => {
  const { deviation, mean } = colours[teacher]
  return HostTensor.make(
    [4, 3, 32, 32],
    "float32",
    images.map((x, at) => {
      const channel = Math.floor(at / 1024) % 3
      return (x - mean[channel]!) / deviation[channel]!
    })
  )
}

const state = (name: string) => {
  const { numbers } = Eager.fixture(name)
  return <const S extends ReadonlyArray<number>>(key: string, shape: S, from = 0) => {
    const size = HostTensor.size(shape)
    return Tensor.constant(HostTensor.make(shape, "float32", numbers(`state/${key}`).slice(from, from + size)))
  }
}

const dino = (images: Images): Tensor.Tensor<[4, 16, 24]> => {
  const of = state("teacher_dino")
  const norm = (name: string) => ({ weight: of(`${name}.weight`, [24]), bias: of(`${name}.bias`, [24]) })
  const params: Vit.VitParams<3, 8, 24, 96, 2, 1, 17> = {
    cls_token: of("cls_token", [1, 1, 24]),
    pos_embed: of("pos_embed", [1, 17, 24]),
    patch_embed: {
      proj: { weight: of("patch_embed.proj.weight", [24, 3, 8, 8]), bias: of("patch_embed.proj.bias", [24]) }
    },
    blocks: [0, 1].map((place) => {
      const at = (name: string) => `blocks.${place}.${name}`
      return {
        norm1: norm(at("norm1")),
        attn: {
          q_bias: of(at("attn.qkv.bias"), [24]),
          v_bias: of(at("attn.qkv.bias"), [24], 48),
          qkv: { weight: of(at("attn.qkv.weight"), [72, 24]) },
          proj: { weight: of(at("attn.proj.weight"), [24, 24]), bias: of(at("attn.proj.bias"), [24]) }
        },
        norm2: norm(at("norm2")),
        mlp: {
          fc1: { weight: of(at("mlp.fc1.weight"), [96, 24]), bias: of(at("mlp.fc1.bias"), [96]) },
          fc2: { weight: of(at("mlp.fc2.weight"), [24, 96]), bias: of(at("mlp.fc2.bias"), [24]) }
        }
      }
    })
  }
  const tokens = Vit.forward(params, images, { heads: 2 })
  return Tokens.patchTokens(Normalization.layerNorm(tokens, norm("norm"), 1e-6), 16)
}

const visual = (name: string) => `visual.${name}`

const clip = (images: Images): Tensor.Tensor<[4, 16, 24]> => {
  const of = state("teacher_clip")
  const normed = (x: Tensor.Tensor<[4, 17, 32]>, name: string) =>
    Normalization.layerNorm(x, { weight: of(`${name}.weight`, [32]), bias: of(`${name}.bias`, [32]) }, 1e-5)
  const patches = Tokens.patchEmbed(images, {
    weight: of(visual("conv1.weight"), [32, 3, 8, 8]),
    bias: Tensor.zeros([32])
  })
  const classToken = Tokens.repeat(of(visual("class_embedding"), [1, 1, 32]), 4)
  const positions = of(visual("positional_embedding"), [1, 17, 32])
  let x = normed(Elementwise.addToSamples(Tokens.prepend(classToken, patches), positions), visual("ln_pre"))
  for (const place of [0, 1]) {
    const at = (name: string) => visual(`transformer.resblocks.${place}.${name}`)
    const joint = Linear.linear(normed(x, at("ln_1")), {
      weight: of(at("attn.in_proj_weight"), [96, 32]),
      bias: of(at("attn.in_proj_bias"), [96])
    })
    const { key, query, value } = Attention.splitHeads(joint, 32, 2)
    const attended = Linear.linear(Attention.mergeHeads(Attention.attention(query, key, value), 32), {
      weight: of(at("attn.out_proj.weight"), [32, 32]),
      bias: of(at("attn.out_proj.bias"), [32])
    })
    x = Elementwise.add(x, attended)
    const hidden = Linear.linear(normed(x, at("ln_2")), {
      weight: of(at("mlp.c_fc.weight"), [128, 32]),
      bias: of(at("mlp.c_fc.bias"), [128])
    })
    const out = Linear.linear(Activation.quickGelu(hidden), {
      weight: of(at("mlp.c_proj.weight"), [32, 128]),
      bias: of(at("mlp.c_proj.bias"), [32])
    })
    x = Elementwise.add(x, out)
  }
  const rows = Tokens.rows(Tokens.patchTokens(normed(x, visual("ln_post")), 16))
  return Tokens.batched(Linear.matMul(rows, of(visual("proj"), [32, 24])), 4, 16)
}

const networks = { clip, dino }

export const targets = (
  teacher: keyof typeof networks,
  images: Float32Array
): HostTensor.HostTensor<[4, 16, 24], "float32"> =>
  Eager.eagerly(
    { images: normalised(teacher, images) },
    (given: { readonly images: Images }) => ({ targets: networks[teacher](given.images) })
  ).targets
