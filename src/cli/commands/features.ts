/** `patchword features`: images to vectors. */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import * as Files from "../../layers/files/Files.ts"
import { Images } from "../../layers/images/Images.ts"
import * as ImageSet from "../../layers/images/reading/ImageSet.ts"
import * as Features from "../../pipelines/evaluate/Features.ts"
import * as Failure from "../Failure.ts"
import * as Options from "../Options.ts"
import * as Show from "../Show.ts"
import * as Sources from "../Sources.ts"
import { network, opened } from "./frozen.ts"

const { images, json, machine, split } = Options

/** The command. */
export const features = Command.make("features", {
  network,
  ...images,
  ...machine,
  split,
  pooling: Flag.Literals("pooling", ["mean", "cls"]).pipe(
    Flag.withDescription("the mean of the patches, or the class token"),
    Flag.withDefault("mean" as const)
  ),
  finalNorm: Flag.Boolean("final-norm").pipe(
    Flag.withDescription("through the network's last norm"),
    Flag.withDefault(true)
  ),
  out: Flag.File("out").pipe(Flag.withDescription("a safetensors file for features [images, width] and labels")),
  json
}, (given) =>
  Effect.gen(function*() {
    const found = yield* opened(given)
    yield* Effect.gen(function*() {
      const set = yield* (yield* Images).load(given.split)
      const [described] = yield* Features.features(found, [set], given)
      const { features, labels } = described!
      const tensors = { features, labels: { shape: [set.length], dtype: "int32", data: labels } } as const
      yield* (yield* Files.make).write(given.out, Safetensors.encodeParts(tensors, ImageSet.header(set)))
      yield* Show.result(given.json, { file: given.out, images: set.length, width: features.shape[1] }, [set])
    }).pipe(Effect.provide(Sources.services(given, found.config.augment)))
  }).pipe(Failure.plain)).pipe(
    Command.withDescription("turn images into the features of a frozen network"),
    Command.withExamples([{
      command: "patchword features runs/one/pretrain --images photos --out features.safetensors"
    }])
  )
