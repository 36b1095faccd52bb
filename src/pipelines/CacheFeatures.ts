/** Caches the teacher's features of all images that a tokenizer's training will see. The training then needs no teacher. */
import { Effect, Schema, Stream } from "effect"
import * as Config from "../domain/config/Config.ts"
import { TokenizerConfig } from "../domain/config/TokenizerConfig.ts"
import * as ComputedOn from "../domain/values/ComputedOn.ts"
import * as Json from "../domain/values/Json.ts"
import * as Files from "../layers/files/Files.ts"
import { Images } from "../layers/images/Images.ts"
import type { ImageSet } from "../layers/images/reading/ImageSet.ts"
import { Progress } from "../layers/run/Progress.ts"
import * as SharedWork from "../layers/storage/SharedWork.ts"
import * as FeatureCache from "../layers/teacher/FeatureCache.ts"
import * as Teacher from "../layers/teacher/Teacher.ts"
import * as CacheShards from "./CacheShards.ts"
import * as Batches from "./training/Batches.ts"
import type { StageOptions } from "./training/Stage.ts"
import * as Targets from "./training/Targets.ts"
import * as TrainTokenizer from "./TrainTokenizer.ts"

/** The options of a feature cache. */
export interface CacheOptions extends Omit<FeatureCache.FillOptions, "rest">, Pick<StageOptions, "stage" | "split"> {
  /** Number of training steps to cache; all when absent. */
  readonly steps?: number
  /** The splits whose central views are cached as well, for `evaluateTokenizer`. */
  readonly central?: ReadonlyArray<string>
  /** The element type of the features; default `float16`. */
  readonly dtype?: FeatureCache.DType
  /**
   * Checks the views of all steps again, and computes missing features. It finds images that were replaced by others of the
   * same names and sizes, which `check: "names"` does not notice.
   */
  readonly again?: boolean
  /**
   * A folder that several processes share. All that call this with it compute the features of the training together; then one of them
   * fills the cache, and the others wait for it. The cache has the same bytes as that of one process. It cannot be given with `again`.
   */
  readonly shards?: string
}

/** The content of a filled cache. */
export interface Cached {
  readonly about: FeatureCache.About
  readonly images: number
  /** Size on disk. */
  readonly bytes: number
  /** The engines that computed the features, as far as they are known. */
  readonly computedOn: ReadonlyArray<ComputedOn.ComputedOn>
}

const PREFETCH = 2

const nameOf = (what: Json.Json): string => Files.sha256(Json.canonical(what))

/** The views of the steps of a training, and all that decides about their features. */
const prepared = Effect.fnUntraced(function*(
  given: typeof TokenizerConfig.Encoded,
  { dtype = "float16", shardBytes = FeatureCache.SHARD_BYTES, split = "train", stage = "tokenizer", ...options }: Pick<
    CacheOptions,
    "dtype" | "shardBytes" | "split" | "stage" | "steps"
  >
) {
  const config = yield* Config.check(TokenizerConfig, stage)(given)
  const teacher = yield* Teacher.Teacher
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
  const plain = Schema.encodeSync(TokenizerConfig)(config)
  // Named by what decides which views there are.
  const views = { imageSize: encoder.imageSize, augment: plain.augment }
  const { sampling = null, seed } = plain
  const decided = {
    ...views,
    set: set.digest,
    stage,
    seed,
    batchSize,
    sampling,
    ...(accumulate === undefined ? {} : { accumulate })
  }
  const training: FeatureCache.Series = { series: nameOf(decided), steps, batchSize }

  // The whole batch, as training would ask for it: the same batch gives the same bytes.
  const viewsOf = (shown: Pick<Batches.ImageBatch, "indices" | "unit">, of: ImageSet) => ({
    keys: FeatureCache.keys(shown.unit),
    features: Effect.map(Targets.of(config, shown, of), ({ data }) => data),
    nameOf: (image: number) => of.describe(shown.indices[image]!)
  })
  const shownOf = (from: number, to: number) =>
    Stream.range(from, to - 1).pipe(
      Stream.rechunk(1),
      Stream.mapEffect((step) => Effect.map(batch(step), (shown) => ({ step, ...viewsOf(shown, set) }))),
      Stream.buffer({ capacity: PREFETCH })
    )
  const sharedIn = (folder: string, directory: string) => ({
    folder,
    directory,
    about,
    work: {
      ...decided,
      teacher: teacher.digest,
      tokens: about.tokens,
      width: about.width,
      dtype,
      ...(computedOn && { computedOn: ComputedOn.of(computedOn) })
    },
    steps,
    batchSize,
    shardBytes,
    shown: shownOf
  })
  return { about, computedOn, config, sharedIn, shownOf, training, views, viewsOf }
})

/**
 * Fills a folder with the teacher's features of the views of a training, as its configuration determines them.
 * `Teacher.layerCached` is then a teacher for this training. Features that are in the folder already are not computed again. An
 * interrupted cache continues after its last shard.
 *
 * Steps are identified by the images' digest. It depends on names and sizes alone if images were not opened (`check: "names"`).
 * `again` checks all of them once more.
 *
 * With `shards`, see `SharedWork`. It is another folder than that of the cache. A kill at any time leaves a cache from which the same bytes come.
 *
 * Fails with 74 before it starts if the disk has too little space, with `ConfigError` for a teacher with other patches, with
 * `TooFewImages`, with `SharedWorkError`, and as the images, the teacher and the cache fail.
 */
export const cacheFeatures = Effect.fn("patchword.cacheFeatures")(
  function*(given: typeof TokenizerConfig.Encoded, directory: string, options: CacheOptions = {}) {
    const { again = false, dtype = "float16", shards } = options
    if (again && shards !== undefined) {
      return yield* Config.refusal(
        "again",
        "expected no shared folder beside it, got both: the shards in the folder may be of the images that were replaced",
        "give again (--again) to one process, without shards (--shards)"
      )
    }
    if (shards !== undefined) yield* SharedWork.checkPlace(shards, directory)
    const { about, computedOn, config, sharedIn, shownOf, training, views, viewsOf } = yield* prepared(given, options)
    const { encoder, optimizer: { batchSize } } = config
    const { steps } = training
    const progress = yield* Progress
    const shared = shards === undefined ? undefined : sharedIn(shards, directory)
    if (shared !== undefined && (yield* FeatureCache.walked(directory, about, training.series, options)) < steps) {
      yield* CacheShards.make(shared)
    }
    const filling = { ...options, ...(computedOn && { computedOn }) }
    const cache = yield* shared === undefined
      ? FeatureCache.writer(directory, about, filling)
      : FeatureCache.nextWriter(directory, about, { ...filling, rest: "drop" })
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

    const store = Effect.fnUntraced(function*({ features, keys, nameOf }: ReturnType<typeof viewsOf>) {
      if (keys.every(cache.has)) return
      yield* cache.append(keys, yield* features, nameOf)
    })
    const reached = Effect.fnUntraced(function*(step: number) {
      cache.reached(training.series, step)
      yield* progress.report({ stage: "cache", step, total: steps, metrics: { images: cache.images() } })
    })

    yield* shared === undefined
      ? Stream.runForEach(
        shownOf(start, steps),
        ({ step, ...views }) => Effect.andThen(store(views), reached(step + 1))
      )
      : Stream.runForEach(
        CacheShards.read(shared, start),
        ({ end, rows }) => Effect.andThen(cache.add(rows), reached(end))
      )
    yield* cache.flush
    for (const { series, set } of central) {
      if (!again && cache.walked(series) > 0) continue
      const { augment } = config
      yield* Batches.evaluation(
        { set, batchSize, size: encoder.imageSize, augment },
        (shown) => store(viewsOf(shown, set))
      )
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
  Files.orNode
)

/**
 * Computes features for a cache together with all processes that share the folder `shards`, and fills no cache: `cacheFeatures` of another
 * process does, with the same folder. It ends when all are computed, by whichever process. Fails with `SharedWorkError`, and as
 * `cacheFeatures` does.
 */
export const computeFeatures = Effect.fn("patchword.computeFeatures")(
  function*(
    given: typeof TokenizerConfig.Encoded,
    shards: string,
    options: Pick<CacheOptions, "dtype" | "shardBytes" | "split" | "stage" | "steps"> = {}
  ) {
    const { sharedIn } = yield* prepared(given, options)
    yield* CacheShards.make(sharedIn(shards, shards))
  },
  Effect.scoped,
  Files.orNode
)
