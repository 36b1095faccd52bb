/** Laws of teachers. */
import { Effect, type ManagedRuntime } from "effect"
import { isDeepStrictEqual } from "node:util"
import * as KeyedRandom from "../domain/values/KeyedRandom.ts"
import { Teacher, type TeacherError } from "../layers/teacher/Teacher.ts"
import * as HostTensor from "../shapes/HostTensor.ts"
import * as Claim from "./Claim.ts"
import { fc } from "./FastCheck.ts"
import { type Law, make } from "./Law.ts"

/** Options for the laws of a teacher. */
export interface TeacherOptions {
  /** The side of the images in pixels, a multiple of the patch size. */
  readonly side: number
  /**
   * The largest difference between a feature and that of the same image in another batch, relative to the largest feature. 1e-5
   * by default.
   */
  readonly within?: number
}

const finite = (features: Float32Array): void => {
  const at = features.findIndex((x) => !Number.isFinite(x))
  Claim.holds(at < 0, () => `feature ${at} is ${features[at]}`)
}

type Service = Teacher["Service"]

/** Returns the laws of a teacher. The runtime holds the teacher while the laws are checked. Its owner disposes of it. */
export const teacher = <E>(
  runtime: ManagedRuntime.ManagedRuntime<Teacher, E>,
  options: TeacherOptions
): ReadonlyArray<Law> => {
  const { side, within = 1e-5 } = options
  const size = 3 * side * side
  const drawn = ({ count, seed }: { readonly count: number; readonly seed: number }) => {
    const { uniform } = KeyedRandom.generator({ seed, purpose: "images", epoch: 0, index: 0 })
    return HostTensor.make([count, 3, side, side], "float32", Float32Array.from({ length: count * size }, uniform))
  }
  const law = (
    name: string,
    body: (
      teacher: Service,
      images: ReturnType<typeof drawn>
    ) => Effect.Effect<void, TeacherError>
  ) =>
    make(
      name,
      fc.record({ count: fc.integer({ min: 1, max: 5 }), seed: fc.nat() }),
      (given) => runtime.runPromise(Teacher.use((teacher) => body(teacher, drawn(given)))),
      { numRuns: 3 }
    )

  return [
    law(
      "gives every patch of every image a finite feature of its width",
      ({ features, width }, images) =>
        Effect.map(features(images), ({ data, shape }) => {
          Claim.same([shape[0], shape[2]], [images.shape[0], width], "the pair of image count and feature width")
          Claim.same(data.length, HostTensor.size(shape), "the number of elements")
          finite(data)
        })
    ),

    law("gives an image the same features in any batch", ({ features }, images) =>
      Effect.gen(function*() {
        const { data } = yield* features(images)
        finite(data)
        const most = data.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
        const each = data.length / images.shape[0]
        for (let at = 0; at < images.shape[0]; at++) {
          const image = images.data.slice(at * size, (at + 1) * size)
          const alone = yield* features(HostTensor.make([1, 3, side, side], "float32", image))
          const among = data.subarray(at * each, (at + 1) * each)
          Claim.close(among, alone.data, within * most, `the features of image ${at} among ${images.shape[0]}`)
        }
      })),

    law(
      "gives equal images equal features and different images different ones, and does not change images",
      ({ features }, images) =>
        Effect.gen(function*() {
          const before = images.data.slice()
          const first = yield* features(images)
          Claim.same(images.data, before, "the array of images after the call")
          const kept = { ...first, data: first.data.slice() }
          const other = HostTensor.make(images.shape, "float32", images.data.map((x) => 1 - x))
          const [again, beside] = yield* Effect.all([features(images), features(other)], { concurrency: "unbounded" })
          Claim.same(again, kept, "the result of the second call")
          Claim.same(first, kept, "the result of the first call, after others,")
          Claim.holds(
            !isDeepStrictEqual(beside.data, kept.data),
            () => "the images and their negatives have the same features"
          )
        })
    ),

    law("has a name, a width and a digest", ({ digest, name, width }) =>
      Effect.sync(() => {
        Claim.holds(name !== "", () => "the name is empty")
        Claim.holds(Number.isInteger(width) && width > 0, () => `the width is ${width}`)
        Claim.holds(/^[0-9a-f]{64}$/.test(digest), () => `the digest is "${digest}", not 64 hexadecimal digits`)
      }))
  ]
}
