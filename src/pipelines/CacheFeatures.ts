/** Before the first stage: what the teacher says of all that a tokenizer will be shown, so that training needs no teacher. */
import { Effect, Schema, Stream } from "effect"
import * as Config from "../domain/config/Config.ts"
import { TokenizerConfig } from "../domain/config/TokenizerConfig.ts"
import type { ComputedOn } from "../domain/values/ComputedOn.ts"
import * as Json from "../domain/values/Json.ts"
import * as Files from "../layers/files/Files.ts"
import { Images } from "../layers/images/Images.ts"
import type { ImageSet } from "../layers/images/reading/ImageSet.ts"
import { Progress } from "../layers/run/Progress.ts"
import * as FeatureCache from "../layers/teacher/FeatureCache.ts"
import * as Teacher from "../layers/teacher/Teacher.ts"
import * as Batches from "./training/Batches.ts"
import type { StageOptions } from "./training/Stage.ts"
import * as Targets from "./training/Targets.ts"
import * as TrainTokenizer from "./TrainTokenizer.ts"

/** What is cached, and how. */
export interface CacheOptions extends FeatureCache.FillOptions, Pick<StageOptions, "stage" | "split"> {
  /** How many steps of the training; all when absent. */
  readonly steps?: number
  /** The splits whose central views are cached as well, for `evaluateTokenizer`. */
  readonly central?: ReadonlyArray<string>
  /** Default `float16`. */
  readonly dtype?: FeatureCache.DType
  /**
   * Looks at the views of all steps again, also of those that were taken before, and computes what is not there. For
   * images that were replaced by others of the same names and sizes, which `check: "names"` does not notice.
   */
  readonly again?: boolean
}

/** What a cache holds in the end. */
export interface Cached {
  readonly about: FeatureCache.About
  readonly images: number
  /** On disk. */
  readonly bytes: number
  /** What the features were computed on, as far as that is known. */
  readonly computedOn: ReadonlyArray<ComputedOn>
}

const PREFETCH = 2

const nameOf = (what: Json.Json): string => Files.sha256(Json.canonical(what))

/**
 * Fills a folder with the teacher's features of the very views that the steps of a training will see, told by its
 * configuration; afterwards `Teacher.layerCached` is a teacher for it. What the folder holds already is not computed again,
 * whoever put it there, and a cache that was interrupted goes on after its last shard.
 *
 * Steps are known by the images' digest, which goes by names and sizes alone where images were not opened (`check:
 * "names"`); `again` looks at all of them once more.
 *
 * Fails with 74 before it starts when the disk has too little room, with `ConfigError` for a teacher with other patches,
 * with `TooFewImages`, and as the images, the teacher and the cache fail.
 */
export const cacheFeatures = Effect.fn("patchword.cacheFeatures")(
  function*(given: typeof TokenizerConfig.Encoded, directory: string, options: CacheOptions = {}) {
    const { again = false, dtype = "float16", split = "train", stage = "tokenizer" } = options
    const config = yield* Config.check(TokenizerConfig, stage)(given)
    const teacher = yield* Teacher.Teacher
    const progress = yield* Progress
    const { batch, set, stepsPerEpoch } = yield* TrainTokenizer.batches(config, { split, stage })
    const { encoder, optimizer } = config
    const { accumulate, batchSize } = optimizer
    const steps = options.steps ?? optimizer.steps(stepsPerEpoch).total
    yield* Effect.annotateCurrentSpan({
      "patchword.stage": stage,
      "patchword.split": split,
      "patchword.images": set.length,
      "patchword.steps": steps,
      "patchword.teacher": teacher.name
    })
    const about: FeatureCache.About = {
      teacher: teacher.name,
      digest: teacher.digest,
      image: [encoder.imageSize, encoder.imageSize],
      tokens: encoder.patches,
      width: teacher.width,
      dtype
    }
    const { computedOn } = teacher
    const cache = yield* FeatureCache.writer(directory, about, { ...options, ...(computedOn && { computedOn }) })
    const plain = Schema.encodeSync(TokenizerConfig)(config)
    // Named by what decides which views there are.
    const views = { imageSize: encoder.imageSize, augment: plain.augment }
    const { sampling = null, seed } = plain
    const training: FeatureCache.Series = {
      series: nameOf({
        ...views,
        set: set.digest,
        stage,
        seed,
        batchSize,
        sampling,
        ...(accumulate === undefined ? {} : { accumulate })
      }),
      steps,
      batchSize
    }
    const images = yield* Images
    const central = yield* Effect.forEach(options.central ?? [], (name) =>
      Effect.map(images.load(name), (set) => ({
        set,
        series: nameOf({ ...views, set: set.digest }),
        steps: 1,
        batchSize: set.length
      })))
    const taken = Math.min(cache.walked(training.series), steps)
    const start = again ? 0 : taken
    const past = taken === 0 ? "" : again ? `, ${taken} of them again` : ` after ${taken} that were taken before`
    const bytes = yield* cache.reserve([training, ...central])
    yield* progress.message(
      `cache: ${steps - start} steps to go${past}, up to ${(bytes / 1e9).toPrecision(3)} GB in ${dtype}`
    )

    // The whole batch, as training would ask for it: the same batch gives the same bytes.
    const store = Effect.fnUntraced(function*(
      shown: Pick<Batches.ImageBatch, "indices" | "unit">,
      of: ImageSet,
      keys = FeatureCache.keys(shown.unit)
    ) {
      if (keys.every(cache.has)) return
      const { data } = yield* Targets.of(config, shown, of)
      yield* cache.append(keys, data, (image) => of.describe(shown.indices[image]!))
    })

    yield* Stream.range(start, steps - 1).pipe(
      Stream.rechunk(1),
      Stream.mapEffect((step) =>
        Effect.map(batch(step), (shown) => ({ step, shown, keys: FeatureCache.keys(shown.unit) }))
      ),
      Stream.buffer({ capacity: PREFETCH }),
      Stream.runForEach(Effect.fnUntraced(function*({ keys, shown, step }) {
        yield* store(shown, set, keys)
        cache.reached(training.series, step + 1)
        yield* progress.report({ stage: "cache", step: step + 1, total: steps, metrics: { images: cache.images() } })
      }))
    )
    yield* cache.flush
    for (const { series, set } of central) {
      if (!again && cache.walked(series) > 0) continue
      const { augment } = config
      yield* Batches.evaluation({ set, batchSize, size: encoder.imageSize, augment }, (shown) => store(shown, set))
      cache.reached(series, 1)
      yield* cache.flush
    }
    const count = cache.images()
    const cached: Cached = {
      about,
      images: count,
      bytes: FeatureCache.bytes({ images: count, ...about }),
      computedOn: cache.computedOn()
    }
    return cached
  },
  Effect.scoped,
  Effect.provide(Files.layerNode)
)
