/** `patchword features`: images to vectors. */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import * as Files from "../../layers/files/Files.ts"
import { Images } from "../../layers/images/Images.ts"
import * as ImageSet from "../../layers/images/reading/ImageSet.ts"
import * as Features from "../../pipelines/evaluate/Features.ts"
import * as EngineFlags from "../flags/EngineFlags.ts"
import * as Flags from "../flags/Flags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as PoolingFlags from "../flags/PoolingFlags.ts"
import * as Services from "../flags/Services.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Print from "../terminal/Print.ts"

/** The command. */
export const features = Command.make("features", {
  network: NetworkFlags.network,
  ...ImagesFlags.flags,
  ...EngineFlags.flags,
  split: Flags.split,
  ...PoolingFlags.flags,
  out: Flag.File("out").pipe(Flag.withDescription("a safetensors file for features [images, width] and labels")),
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    const found = yield* NetworkFlags.open(given)
    yield* Effect.gen(function*() {
      const set = yield* (yield* Images).load(given.split)
      const [described] = yield* Features.features(found, [set], given)
      const { features, labels } = described!
      const tensors = { features, labels: { shape: [set.length], dtype: "int32", data: labels } } as const
      yield* (yield* Files.make).write(given.out, Safetensors.encodeParts(tensors, ImageSet.header(set)))
      yield* Print.result(given.json, { file: given.out, images: set.length, width: features.shape[1] }, [set])
    }).pipe(Effect.provide(Services.imagesAndEngine(given, found.config.augment)))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("turn images into the features of a frozen network"),
    Command.withExamples([{
      command: "patchword features runs/one/pretrain --images photos --out features.safetensors"
    }])
  )
