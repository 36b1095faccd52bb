import * as Normalize from "../../src/domain/Normalize.ts"
import * as Clip from "../../src/nn/Clip.ts"
import * as Dino from "../../src/nn/Dino.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import type { HostOf } from "../../src/shapes/Step.ts"
import * as Eager from "./eager.ts"

const grid = { height: 4, width: 4 }
const batch = { size: 4, height: 32, width: 32 } as const

const clip = Clip.features(
  { patch: 8, width: 32, hidden: 128, heads: 2, depth: 2, out: 24, grid, tokens: 17 } as const,
  batch
)
const dino = Dino.features({ patch: 8, width: 24, hidden: 96, heads: 2, depth: 2, grid, tokens: 17 } as const, batch)

const weights = <W>(spec: object, teacher: string): HostOf<W> => {
  const { numbers } = Eager.fixture(`teacher_${teacher}`)
  return Eager.filled<W>(spec, (path) => numbers(`state/${path}`))
}

const networks = {
  clip: (images: Float32Array) =>
    Eager.infer(clip, weights<Clip.ClipParams<8, 32, 128, 17, 24>>(clip.weights, "clip"), {
      images: HostTensor.make([4, 3, 32, 32], "float32", Normalize.standardise(images, 1024, Clip.CHANNELS))
    }),
  dino: (images: Float32Array) =>
    Eager.infer(dino, weights<Dino.DinoParams<8, 24, 96, 17>>(dino.weights, "dino"), {
      images: HostTensor.make([4, 3, 32, 32], "float32", Normalize.standardise(images, 1024, Dino.CHANNELS))
    })
}

export const targets = (
  teacher: keyof typeof networks,
  images: Float32Array
): HostTensor.HostTensor<[4, 16, 24], "float32"> => networks[teacher](images).target
