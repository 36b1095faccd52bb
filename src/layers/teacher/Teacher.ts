/**
 * Teachers: sources of the patch features that a tokenizer learns to reconstruct.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect, type FileSystem, Layer, type Path } from "effect"
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
import { Effect, type FileSystem, Layer, type Path } from "effect"
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
 * HOG: histograms of oriented gradients with context, projected onto their principal components. The components are fitted
 * when the layer is built, on augmented crops of the split `train`. Nothing is trained or downloaded.
 */
export const layerHog = (options: HogOptions): Layer.Layer<Teacher, TeacherError, Images> =>
  Layer.effect(Teacher, HogTeacher.make(options))

/**
 * Uses any ONNX model with one output row per patch. It runs on the engine in the environment, which has to support models
 * made by other tools. External data of the model is read from the model's own folder, and is part of the digest. Fails
 * with `FileError` if a file is missing, and with `WrongModel` if the model's inputs and outputs are not as `options` say.
 */
export const layerOnnx = (file: string, options: OnnxOptions): Layer.Layer<Teacher, TeacherError, Engine> =>
  Layer.effect(Teacher, OnnxTeacher.make(file, options)).pipe(Layer.provide(Files.layerNode))

/**
 * Uses the image tower of a CLIP model, the teacher of the published tokenizers. Its tensors can have the names of OpenAI,
 * timm or Hugging Face. `weights` are weights, a file for `Weights.read` (safetensors, also in shards, or OpenAI's
 * published files), or a folder with such a file. A text tower is ignored. Images keep their size, which has to be a
 * multiple of the patch size.
 *
 * Fails with `FileError` if there is no such file. Fails with `WeightsError` if tensors are missing, have other shapes or
 * do not belong to the network; the error names the network that the tensors look like. Fails with `ModelInvalid` if the
 * tower is wider than OpenAI's and its number of heads is unknown.
 */
export const layerClip = (
  weights: Weights.Weights | string,
  options: ClipOptions = {}
): Layer.Layer<Teacher, TeacherError, Engine> =>
  Layer.effect(Teacher, ClipTeacher.make(weights, options)).pipe(Layer.provide(Files.layerNode))

/** Uses any network that the engine runs as an inference of images; see {@link open}. */
export const layerNetwork = (name: string, network: Network): Layer.Layer<Teacher, TeacherError, Engine> =>
  Layer.effect(Teacher, NetworkTeacher.make(name, Effect.succeed(network)))

/**
 * Uses a vision transformer of DINO or DINOv2 under any of its published names; see {@link layerClip}. Layer scale and
 * registers are used if the file has them. Heads and the mask token are ignored.
 */
export const layerDino = (
  weights: Weights.Weights | string,
  options: NetworkOptions = {}
): Layer.Layer<Teacher, TeacherError, Engine> =>
  Layer.effect(Teacher, DinoTeacher.make(weights, options)).pipe(Layer.provide(Files.layerNode))

/**
 * Reads the features of another teacher from a folder that `cacheFeatures` filled, on any file system. The other teacher is not
 * needed. With float32, features and digest are those of the other teacher. With float16, the digest is a different one.
 *
 * Fails with `NoCache` if the folder holds no cache, and with `CacheDamaged` if the cache is damaged. `features` fails with
 * `NotCached` for images that the cache lacks.
 */
export const layerCachedNoDeps = (
  directory: string,
  options: FeatureCache.OpenOptions = {}
): Layer.Layer<Teacher, TeacherError, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(Teacher, CachedTeacher.make(directory, options))

/** Reads the features of another teacher from a folder of this machine; see {@link layerCachedNoDeps}. */
export const layerCached = (
  directory: string,
  options: FeatureCache.OpenOptions = {}
): Layer.Layer<Teacher, TeacherError> => layerCachedNoDeps(directory, options).pipe(Layer.provide(Files.layerNode))
