/** A teacher whose features come from a cache on disk. */
import { Effect } from "effect"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import * as Files from "../files/Files.ts"
import * as FeatureCache from "./FeatureCache.ts"
import { within, WrongImages } from "./TeacherError.ts"
import { Teacher } from "./TeacherService.ts"

/** Makes a teacher that reads its features from a folder. */
export const make = Effect.fn("patchword.Teacher.layerCached")(
  function*(directory: string, options: FeatureCache.OpenOptions) {
    const { about, read } = yield* FeatureCache.reader(directory, options)
    const { digest, dtype, image, teacher: name, tokens, width } = about
    return Teacher.of({
      name,
      width,
      digest: dtype === "float32" ? digest : Files.sha256(`${digest} ${dtype}`),
      features: Effect.fnUntraced(function*(images, nameOf) {
        const [batch, , ...sides] = images.shape
        if (sides[0] !== image[0] || sides[1] !== image[1]) {
          return yield* new WrongImages({
            given: ShapeError.show(images.shape),
            expected: `[B, 3, ${image[0]}, ${image[1]}] (the images of the cache)`
          })
        }
        return HostTensor.make([batch, tokens, width], "float32", yield* read(FeatureCache.keys(images), nameOf))
      }, within(name))
    })
  },
  (self, directory) => within(`from ${directory}`)(self)
)
