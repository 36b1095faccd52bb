/**
 * The network of a teacher as the encoder of a classifier, under the official names of BEiT: for the fine-tuning of the teacher
 * itself (paper, table 6).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Files, TeacherEncoder } from "patchword/layers"
 *
 * const error = await Effect.runPromise(Effect.flip(Effect.provide(TeacherEncoder.dino("none.pth"), Files.layerNode)))
 * assert.match(error.message, /none\.pth/)
 * ```
 */
import { Effect, type FileSystem, type Path } from "effect"
import type { Channels } from "../../domain/pixels/Normalize.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Weights from "../weights/Weights.ts"
import * as DinoTeacher from "./DinoTeacher.ts"
import * as Published from "./PublishedNetwork.ts"
import { ModelInvalid, type TeacherError, within } from "./TeacherError.ts"

/** An encoder, with its settings that its arrays do not show. */
export interface TeacherEncoder {
  /** The file. */
  readonly source: string
  readonly patchSize: number
  readonly width: number
  readonly hidden: number
  readonly depth: number
  readonly heads: number
  readonly hasLayerScale: boolean
  readonly epsilon: number
  readonly channels: Channels
  readonly tensors: Weights.Tensors
}

type Named = readonly [name: string, tensor: HostTensor.Any]

const SCALES: Readonly<Record<string, string>> = { ls1: "gamma_1", ls2: "gamma_2" }

const renamed = ([name, tensor]: Named): ReadonlyArray<Named> => {
  const scale = /^(blocks\.\d+\.)(ls[12])\.gamma$/.exec(name)
  if (scale !== null) return [[`${scale[1]!}${SCALES[scale[2]!]!}`, tensor]]
  const block = /^(blocks\.\d+\.attn\.)qkv\.bias$/.exec(name)?.[1]
  if (block === undefined) return [[name, tensor]]
  // A bias of keys adds the same to all scores of a query, so that the softmax takes it away.
  const width = tensor.data.length / 3
  const part = (i: number) =>
    HostTensor.make([width], "float32", Float32Array.from(tensor.data.slice(i * width, (i + 1) * width), Number))
  return [[`${block}q_bias`, part(0)], [`${block}v_bias`, part(2)]]
}

/**
 * Reads a network of DINO or DINOv2 from a file, or from a folder with such a file. Outputs are those of the network: the bias of
 * keys is left out, which no output depends on.
 *
 * Fails with `TeacherError` as the teacher's layer does, and for a network with registers, which a classifier has not.
 */
export const dino = (
  file: string,
  options: Published.NetworkOptions = {}
): Effect.Effect<TeacherEncoder, TeacherError, FileSystem.FileSystem | Path.Path> =>
  Published.read(
    "dino",
    file,
    Effect.fnUntraced(function*(weights, origin) {
      const { channels, epsilon, parameters, sizes } = yield* DinoTeacher.described(weights, origin, options)
      const { depth, heads, hidden, layerScale, patch, registers, width } = sizes
      if (registers > 0) {
        return yield* new ModelInvalid({
          problem: `it has ${registers} registers, and a classifier has none`,
          remedy: "use weights without registers"
        })
      }
      const encoder: TeacherEncoder = {
        source: origin.source,
        patchSize: patch,
        width,
        hidden,
        depth,
        heads,
        hasLayerScale: layerScale,
        epsilon,
        channels,
        tensors: Object.fromEntries(Object.entries(Weights.flatten(parameters)).flatMap(renamed))
      }
      return encoder
    })
  ).pipe(within("dino"))
