/**
 * What the tokenizer learns to rebuild: features of every patch of an image.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, Layer } from "effect"
 * import { KeyedRandom, Presets } from "patchword/domain"
 * import { Images, ImageSet, Teacher } from "patchword/layers"
 * import { HostTensor } from "patchword/shapes"
 *
 * const { integer } = KeyedRandom.generator({ seed: 0, purpose: "example", epoch: 0, index: 0 })
 * const noise = () => ({ width: 48, height: 48, data: Uint8Array.from({ length: 48 * 48 * 3 }, () => integer(0, 255)) })
 * const images = Images.layerMemory([ImageSet.memory("train", ["noise"], [noise(), noise()], [0, 0])])
 * const { augment } = Presets.tiny.tokenizer
 * const teacher = Teacher.layerHog({ imageSize: 48, patchSize: 8, seed: 0, augment, fitOn: 8 })
 * const program = Effect.gen(function*() {
 *   const { features } = yield* Teacher.Teacher
 *   return yield* features(HostTensor.zeros([2, 3, 48, 48], "float32"))
 * })
 * const { shape } = await Effect.runPromise(Effect.provide(program, Layer.provide(teacher, images)))
 * assert.deepStrictEqual(shape, [2, 36, 48])
 * ```
 */
import { Effect, Layer } from "effect"
import type { Engine } from "../engine/Engine.ts"
import * as Files from "../files/Files.ts"
import type { Images } from "../images/Images.ts"
import type * as Weights from "../weights/Weights.ts"
import * as CachedTeacher from "./CachedTeacher.ts"
import * as ClipTeacher from "./ClipTeacher.ts"
import type { ClipOptions } from "./ClipTeacher.ts"
import * as DinoTeacher from "./DinoTeacher.ts"
import type * as FeatureCache from "./FeatureCache.ts"
import * as HogTeacher from "./HogTeacher.ts"
import type { HogOptions } from "./HogTeacher.ts"
import * as NetworkTeacher from "./NetworkTeacher.ts"
import type { Network } from "./NetworkTeacher.ts"
import * as OnnxTeacher from "./OnnxTeacher.ts"
import type { OnnxOptions } from "./OnnxTeacher.ts"
import type { NetworkOptions } from "./PublishedNetwork.ts"
import type { TeacherError } from "./TeacherError.ts"
import { Teacher } from "./TeacherService.ts"

export type { ClipOptions } from "./ClipTeacher.ts"
export type { HogOptions } from "./HogTeacher.ts"
export { type Batch, type Network, open, type Run } from "./NetworkTeacher.ts"
export type { OnnxOptions } from "./OnnxTeacher.ts"
export type { NetworkOptions } from "./PublishedNetwork.ts"
export { ModelInvalid, TeacherError, WrongImages, WrongMeasures, WrongModel } from "./TeacherError.ts"
export { Teacher } from "./TeacherService.ts"

/**
 * Oriented gradients with context, projected on their principal components. These are fitted when the layer is built,
 * on augmented crops of the split `train`; nothing is trained and nothing downloaded.
 */
export const layerHog = (options: HogOptions): Layer.Layer<Teacher, TeacherError, Images> =>
  Layer.effect(Teacher, HogTeacher.make(options))

/**
 * Any ONNX model with an output of one row per patch. Runs on the engine in the environment, which has to take foreign
 * models. The files in which it keeps its numbers are read from its own folder, and are part of the digest. Fails with 66
 * when there is no such file, with 65 when the model's inputs and outputs are other ones.
 */
export const layerOnnx = (file: string, options: OnnxOptions): Layer.Layer<Teacher, TeacherError, Engine> =>
  Layer.effect(Teacher, OnnxTeacher.make(file, options)).pipe(Layer.provide(Files.layerNode))

/**
 * The image tower of a CLIP under the names of OpenAI, timm or Hugging Face, from weights, or a file of `Weights.read` or
 * a folder with one: safetensors, also in shards, or what OpenAI published. A text tower is left alone. The teacher of the published
 * tokenizers. Images of any size that its patches tile are shown as they are.
 *
 * Fails with 66 when there is no such file, with 65 when tensors are missing, have other shapes or are none of the
 * network's, and says what the file looks like instead; also with 65 when nothing says how many heads a tower has that is
 * larger than OpenAI's.
 */
export const layerClip = (
  weights: Weights.Weights | string,
  options: ClipOptions = {}
): Layer.Layer<Teacher, TeacherError, Engine> =>
  Layer.effect(Teacher, ClipTeacher.make(weights, options)).pipe(Layer.provide(Files.layerNode))

/** Any network of which the engine runs an inference; see {@link open}. */
export const layerNetwork = (name: string, network: Network): Layer.Layer<Teacher, TeacherError, Engine> =>
  Layer.effect(Teacher, NetworkTeacher.make(name, Effect.succeed(network)))

/**
 * A vision transformer of DINO or DINOv2 under any of their names, with layer scale and registers where it has them; see
 * {@link layerClip}. Heads and the mask token are left alone.
 */
export const layerDino = (
  weights: Weights.Weights | string,
  options: NetworkOptions = {}
): Layer.Layer<Teacher, TeacherError, Engine> =>
  Layer.effect(Teacher, DinoTeacher.make(weights, options)).pipe(Layer.provide(Files.layerNode))

/**
 * What another teacher said, from a folder that `cacheFeatures` filled; the other one is not needed. Of float32 these are
 * its features and its digest; float16 has a digest of its own.
 *
 * Fails with 66 when the folder holds no cache, with 65 when that is damaged; `features` with 66 for images that it does
 * not hold.
 */
export const layerCached = (
  directory: string,
  options: FeatureCache.OpenOptions = {}
): Layer.Layer<Teacher, TeacherError> =>
  Layer.effect(Teacher, CachedTeacher.make(directory, options)).pipe(Layer.provide(Files.layerNode))
