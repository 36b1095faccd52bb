/** Makes the atlas of a tokenizer's codes over a set of images. */
import { Clock, Effect, Exit, Option, Schema, Stream } from "effect"
import { AugmentConfig } from "../../domain/config/AugmentConfig.ts"
import * as Codebook from "../../domain/method/Codebook.ts"
import * as CodeNeighbours from "../../domain/method/CodeNeighbours.ts"
import * as MutualInformation from "../../domain/method/MutualInformation.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import { version } from "../../domain/values/Version.ts"
import * as Safetensors from "../../domain/weights/Safetensors.ts"
import { Engine } from "../../layers/engine/Engine.ts"
import { Fences } from "../../layers/files/Fence.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Lock from "../../layers/files/Lock.ts"
import { told } from "../../layers/files/LongWork.ts"
import type { ImageSet } from "../../layers/images/reading/ImageSet.ts"
import * as Pauses from "../../layers/machine/Pauses.ts"
import { Progress } from "../../layers/run/Progress.ts"
import * as Weights from "../../layers/weights/Weights.ts"
import * as ShownView from "../trained/ShownView.ts"
import type { Tokenizer } from "../trained/Tokenizer.ts"
import * as Batches from "../training/Batches.ts"
import { prefetch } from "../training/Prefetch.ts"
import * as Stage from "../training/Stage.ts"
import * as AtlasCheck from "./AtlasCheck.ts"
import { TooManyPatches, within } from "./AtlasError.ts"
import * as AtlasIndex from "./AtlasIndex.ts"
import * as AtlasState from "./AtlasState.ts"
import * as Choices from "./Choices.ts"
import * as CodeMap from "./CodeMap.ts"
import * as CodePictures from "./CodePictures.ts"
import * as CodeScan from "./CodeScan.ts"
import * as Patches from "./Patches.ts"
import * as Thumbnails from "./Thumbnails.ts"
import * as Together from "./Together.ts"

/** The options of an atlas. */
export interface AtlasOptions {
  /** The largest number of patches in each list of a code; {@link CodeScan.LISTS} by default. */
  readonly lists?: Partial<CodeScan.Lists>
  /** False to not keep the codes of every image; default true. They take two bytes for each patch, or four for more than 65536 codes. */
  readonly keepImages?: boolean
  /** The side of the small pictures of images that are kept, in pixels; default `Thumbnails.SIDE`. None with 0. */
  readonly thumbnails?: number
  /** True to remove another atlas that is in the folder; default false. */
  readonly replace?: boolean
  /** The number of images between two saved states; default 16384. A killed scan repeats no more than these. */
  readonly every?: number
}

/** A finished atlas. */
export interface Built {
  /** Its folder. */
  readonly folder: string
  readonly figures: AtlasIndex.Figures
  /** The size of the kept codes of images, and of their small pictures, in bytes. */
  readonly imageBytes: number
  readonly thumbnailBytes: number
}

const EVERY = 16384
const NEIGHBOURS = 12
const PREFERRED = 12

/** The largest table of codes by classes, in elements. Classes are not counted beyond it. */
const MOST_COUNTS = 2 ** 26

const MOST_PATCHES = 2 ** 31 - 1

const identityOf = Effect.fnUntraced(function*(tokenizer: Tokenizer, set: ImageSet, options: AtlasOptions) {
  const { augment, codebook, encoder } = tokenizer.config
  const identity: AtlasIndex.Identity = {
    format: 1,
    tokenizer: yield* Weights.digest(tokenizer.tensors),
    split: set.name,
    images: set.digest,
    imageSize: encoder.imageSize,
    patchSize: encoder.patchSize,
    view: Stage.toJson(AugmentConfig, augment),
    lists: { ...CodeScan.LISTS, ...options.lists },
    keepsImages: options.keepImages ?? true,
    countsClasses: set.classes.length > 1 && codebook.size * set.classes.length <= MOST_COUNTS,
    // A picture larger than its image shows no more.
    thumbnails: Math.min(encoder.imageSize, options.thumbnails ?? Thumbnails.SIDE)
  }
  return identity
})

/** Removes the files of an atlas. The description goes first, so that what is left is never taken for a whole one. */
const clear = Effect.fnUntraced(function*({ fs, path }: Files.Files, folder: string) {
  const { ARRAYS, IMAGES, INDEX, NAMES, PICTURES, SCAN, THUMBNAILS } = AtlasIndex
  for (const name of [INDEX, SCAN, ARRAYS, IMAGES, NAMES, THUMBNAILS, ...PICTURES]) {
    const place = path.join(folder, name)
    yield* Files.onFailure(place)(fs.remove(place, { recursive: true, force: true }))
  }
})

/** Scans the images that are not scanned yet, and saves the state now and then, and when it is interrupted. */
const scanning = Effect.fnUntraced(function*(
  files: Files.Files,
  folder: string,
  given: {
    readonly tokenizer: Tokenizer
    readonly set: ImageSet
    readonly identity: AtlasIndex.Identity
    readonly scan: CodeScan.CodeScan
    readonly begun: AtlasState.Progress
    readonly every: number
  }
) {
  const { begun, every, identity, scan, set, tokenizer } = given
  const { augment, codebook, encoder: { imageSize, patches } } = tokenizer.config
  const engine = yield* Engine
  const reporter = yield* Progress
  const batchSize = Batches.fitting(Choices.batchSize(patches, codebook.size), set)
  const choose = yield* Choices.open(tokenizer, set, batchSize)
  const computedOn = ComputedOn.extend(begun.computedOn, ComputedOn.of(engine.about), begun.scanned + 1)
  const codeArray = AtlasState.arrayOf(codebook.size)
  const { thumbnails: side } = identity
  const thumbnails = side === 0
    ? undefined
    : yield* Thumbnails.open(files, folder, { images: set.length, scanned: begun.scanned, side })
  let waiting: Array<Int32Array> = []
  let [scanned, saved] = [begun.scanned, begun.scanned]
  const save = Effect.suspend(() => {
    if (scanned === saved) return Effect.void
    const flat = new codeArray((scanned - saved) * patches)
    waiting.forEach((codes, i) => flat.set(codes, i * patches))
    const codes = identity.keepsImages ? AtlasState.writeCodes(files, folder, saved * patches, flat) : Effect.void
    return codes.pipe(
      Effect.andThen(thumbnails?.sync ?? Effect.void),
      Effect.andThen(AtlasState.save(files, folder, { identity, scan, progress: { scanned, computedOn } })),
      Effect.andThen(Effect.sync(() => {
        waiting = []
        saved = scanned
      })),
      Effect.uninterruptible
    )
  })
  const at = yield* Clock.currentTimeMillis
  const options = { set, batchSize, size: imageSize, augment }
  const take = Effect.fnUntraced(function*(batch: Batches.EvaluationBatch) {
    const images = yield* choose(batch)
    const views = Array.from({ length: batch.valid }, (_, i) => ShownView.pictureOf(batch.unit, i))
    if (thumbnails !== undefined) yield* thumbnails.add(views)
    for (const image of images) {
      CodeScan.add(scan, image)
      if (identity.keepsImages) waiting.push(image.codes)
      yield* Pauses.pause
    }
    scanned += images.length
    if (scanned - saved >= every) yield* save
    const seconds = ((yield* Clock.currentTimeMillis) - at) / 1000
    yield* reporter.report({
      stage: "atlas",
      step: scanned,
      total: set.length,
      metrics: { "used codes": Codebook.usage(scan.counts) },
      ...(seconds > 0 ? { imagesPerSecond: (scanned - begun.scanned) / seconds } : {})
    })
  })
  yield* Batches.checkColours(set, augment)
  if (begun.scanned > 0) yield* reporter.message(`atlas: goes on after ${begun.scanned} of ${set.length} images`)
  yield* prefetch(
    begun.scanned / batchSize,
    Math.ceil(set.length / batchSize) - 1,
    (step) => Batches.central(options, step * batchSize)
  ).pipe(
    Stream.runForEach(take),
    Effect.onExit((exit) =>
      Exit.isSuccess(exit) ? Effect.void : Effect.andThen(
        save,
        scanned > 0 ? reporter.message(`atlas: ${scanned} of ${set.length} images are kept in ${folder}`) : Effect.void
      )
    )
  )
  yield* save
  return computedOn
}, Effect.scoped)

const int32 = (data: Int32Array, ...shape: ReadonlyArray<number>): Safetensors.Tensor => ({
  dtype: "int32",
  shape,
  data
})

const float32 = (data: Float32Array, ...shape: ReadonlyArray<number>): Safetensors.Tensor => ({
  dtype: "float32",
  shape,
  data
})

/** The lists of all codes, best first; -1 stands for no patch. */
const listsOf = (scan: CodeScan.CodeScan): Readonly<Record<string, Safetensors.Tensor>> => {
  const all: Record<string, Safetensors.Tensor> = {}
  for (const name of CodeScan.NAMES) {
    const most = scan.lists[name]
    const [images, patches] = [0, 0].map(() => new Int32Array(scan.codes * most).fill(-1)) as [Int32Array, Int32Array]
    const values = new Float32Array(scan.codes * most)
    for (let code = 0; code < scan.codes; code++) {
      for (const [rank, entry] of CodeScan.places(scan, name, code).entries()) {
        images[code * most + rank] = entry.image
        patches[code * most + rank] = entry.patch
        values[code * most + rank] = entry.value
      }
    }
    all[`${name}.images`] = int32(images, scan.codes, most)
    all[`${name}.patches`] = int32(patches, scan.codes, most)
    all[`${name}.values`] = float32(values, scan.codes, most)
  }
  return all
}

/** The preferred classes of all codes; -1 stands for no class. */
const classesOf = (scan: CodeScan.CodeScan): Readonly<Record<string, Safetensors.Tensor>> => {
  if (scan.classes === 0) return {}
  const most = Math.min(PREFERRED, scan.classes)
  const bits = new Float32Array(scan.codes)
  const [classes, counts] = [new Int32Array(scan.codes * most).fill(-1), new Int32Array(scan.codes * most)]
  for (const [code, one] of MutualInformation.preferences(scan.byClass, scan.classes, most).entries()) {
    bits[code] = one.bits
    for (const [rank, preferred] of one.preferred.entries()) {
      classes[code * most + rank] = preferred.class
      counts[code * most + rank] = preferred.count
    }
  }
  const totals = new Int32Array(scan.classes)
  scan.byClass.forEach((count, at) => (totals[at % scan.classes]! += count))
  return {
    "classes.bits": float32(bits, scan.codes),
    "classes.classes": int32(classes, scan.codes, most),
    "classes.counts": int32(counts, scan.codes, most),
    "classes.totals": int32(totals, scan.classes)
  }
}

/** The neighbours of all codes, and their map. */
const codebookOf = Effect.fnUntraced(function*(tokenizer: Tokenizer) {
  const vectors = yield* Choices.vectorsOf(tokenizer)
  const { dim, size } = tokenizer.config.codebook
  if (Option.isNone(vectors) || size < 2) return {}
  const { codes, cosines, count } = yield* Pauses.during(CodeNeighbours.steps(vectors.value.data, dim, NEIGHBOURS))
  const tensors: Readonly<Record<string, Safetensors.Tensor>> = {
    "neighbours.codes": int32(codes, size, count),
    "neighbours.cosines": float32(cosines, size, count),
    map: float32(yield* CodeMap.of(vectors.value.data, dim), size, 2)
  }
  return tensors
}, told("atlas: neighbours and map of the codes"))

// Names that are encoded at once.
const SOME = 4096

/** Makes the parts of the file of names: the position of each name in 64 bits, and of the end; then the names in UTF-8. */
function* namesOf(set: ImageSet): Generator<Uint8Array> {
  const positions = new BigUint64Array(set.length + 1)
  for (let index = 0; index < set.length; index++) {
    positions[index + 1] = positions[index]! + BigInt(Buffer.byteLength(set.describe(index)))
  }
  yield new Uint8Array(positions.buffer)
  for (let index = 0; index < set.length; index += SOME) {
    const length = Math.min(SOME, set.length - index)
    yield Buffer.from(Array.from({ length }, (_, i) => set.describe(index + i)).join(""))
  }
}

/**
 * Makes the atlas of a tokenizer over a set of images, in the folder `atlas` of a directory: the patches that show each code best, near
 * misses, counts, positions, preferred classes, neighbours, a map, and pictures (figures 4 and 5 of the paper). Every image is read once by
 * the network. Memory depends on the codes, the patches and the classes, and not on the images. An atlas that is not finished goes on, and
 * ends with the same bytes. A finished one is returned as it is.
 *
 * Fails with `AtlasError`: `OtherAtlas` if the folder has another atlas and `replace` is not given, `Locked` if another process makes it,
 * `TooManyPatches`, `AtlasDamaged`. Fails with `OtherColours`, `OutputError` and `QuantizerError`, and as the engine and the images fail.
 */
export const atlas = Effect.fn("patchword.atlas")(
  function*(tokenizer: Tokenizer, set: ImageSet, directory: string, options: AtlasOptions = {}) {
    yield* Effect.annotateCurrentSpan({ "patchword.split": set.name, "patchword.images": set.length })
    const { every = EVERY, replace = false } = options
    const outer = yield* Files.make
    const { path } = outer
    const folder = path.join(directory, AtlasIndex.FOLDER)
    const { augment, codebook, encoder: { grid, imageSize, patches, patchSize } } = tokenizer.config
    const identity = yield* identityOf(tokenizer, set, options)
    const most = Math.floor(MOST_PATCHES / patches)
    const reporter = yield* Progress

    const scanFile = path.join(folder, AtlasIndex.SCAN)
    const removeScan = Files.onFailure(scanFile)(outer.fs.remove(scanFile, { force: true }))

    const built = Effect.gen(function*() {
      if (set.length > most) return yield* new TooManyPatches({ images: set.length, patches, most })
      const discard = yield* outer.beginFolder(folder)
      const fence = yield* Lock.hold(outer, folder)
      const files = yield* Effect.provideService(Files.make, Fences, [...yield* Fences, fence])
      yield* files.sweep(folder)
      if (replace) yield* clear(files, folder)

      const imageBytes = identity.keepsImages
        ? set.length * patches * AtlasState.arrayOf(codebook.size).BYTES_PER_ELEMENT
        : 0
      const pictures = path.join(folder, AtlasIndex.THUMBNAILS)
      const thumbnailBytes = identity.thumbnails === 0
        ? Effect.succeed(0)
        : Files.onFailure(pictures)(Effect.map(files.fs.stat(pictures), ({ size }) => Number(size)))
      const index = yield* Files.ifThere(files.readText(path.join(folder, AtlasIndex.INDEX)))
      if (Option.isSome(index)) {
        const found = yield* AtlasState.parse(index.value)
        yield* AtlasState.check(found, identity)
        yield* AtlasCheck.all(files, folder, found)
        yield* removeScan
        yield* reporter.message("atlas: it is finished already")
        return { folder, figures: found.figures, imageBytes, thumbnailBytes: yield* thumbnailBytes }
      }
      const saved = yield* AtlasState.peek(files, folder)
      if (Option.isSome(saved)) yield* AtlasState.check(saved.value.identity, identity)
      else yield* Effect.addFinalizer(() => Effect.ignore(discardEmpty(files, folder, discard)))

      const scan = CodeScan.make({
        codes: codebook.size,
        patches,
        classes: identity.countsClasses ? set.classes.length : 0,
        lists: identity.lists
      })
      if (set.classes.length > 1 && !identity.countsClasses) {
        yield* Effect.logWarning(
          `atlas: ${codebook.size} codes by ${set.classes.length} classes are too many to count, so it tells nothing about classes`
        )
      }
      if (Option.isSome(saved)) yield* AtlasState.restore(files, folder, scan)
      const begun = Option.getOrElse(saved, (): AtlasState.Progress => ({ scanned: 0, computedOn: [] }))
      const computedOn = begun.scanned === set.length
        ? begun.computedOn
        : yield* scanning(files, folder, { tokenizer, set, identity, scan, begun, every })

      yield* CodePictures.write(folder, {
        scan,
        set,
        imageSize,
        patchSize,
        augment,
        told: (codes) => reporter.report({ stage: "atlas pictures", step: codes, total: codebook.size, metrics: {} })
      })
      const vectors = yield* codebookOf(tokenizer)
      const together = identity.keepsImages && codebook.size <= Together.MOST_CODES
        ? yield* Together.tensors(files, folder, { codes: codebook.size, images: set.length, grid })
        : {}
      const tensors: Readonly<Record<string, Safetensors.Tensor>> = {
        counts: int32(scan.counts, scan.codes),
        positions: int32(scan.positions, scan.codes, patches),
        labels: int32(set.labels, set.length),
        colours: float32(yield* CodePictures.colours(folder, scan), scan.codes, 3),
        ...listsOf(scan),
        ...classesOf(scan),
        ...vectors,
        ...together
      }
      const figures: AtlasIndex.Figures = {
        images: set.length,
        patches: set.length * patches,
        codes: codebook.size,
        used: Codebook.usage(scan.counts),
        perplexity: Codebook.perplexity(scan.counts),
        mutualInformation: identity.countsClasses ? MutualInformation.of(scan.byClass, scan.classes) : null
      }
      const arrays = Safetensors.encode(tensors)
      yield* files.write(path.join(folder, AtlasIndex.ARRAYS), [arrays])
      yield* files.write(path.join(folder, AtlasIndex.NAMES), namesOf(set))
      const description = yield* Effect.orDie(
        Schema.encodeEffect(AtlasIndex.IndexText)({
          ...identity,
          grid,
          classes: set.classes,
          figures,
          window: Patches.windowOf(imageSize, patchSize),
          map: "map" in vectors ? CodeMap.METHOD : null,
          arrays: Files.sha256(arrays),
          namesDigest: yield* AtlasCheck.digestOf(files, folder, AtlasIndex.NAMES),
          ...(identity.keepsImages
            ? { imagesDigest: yield* AtlasCheck.digestOf(files, folder, AtlasIndex.IMAGES) }
            : {}),
          ...(identity.thumbnails > 0
            ? { thumbnailsDigest: yield* AtlasCheck.digestOf(files, folder, AtlasIndex.THUMBNAILS) }
            : {}),
          computedOn,
          patchword: version
        })
      )
      yield* files.write(path.join(folder, AtlasIndex.INDEX), `${description}\n`)
      yield* removeScan
      return { folder, figures, imageBytes, thumbnailBytes: yield* thumbnailBytes }
    }).pipe(Effect.scoped)
    const done: Built = yield* within(folder)(built)
    return done
  }
)

/** Removes the folder of an atlas in which nothing was saved. */
const discardEmpty = Effect.fnUntraced(function*(
  { fs }: Files.Files,
  folder: string,
  discard: Effect.Effect<void>
) {
  const names = yield* fs.readDirectory(folder)
  if (names.every((name) => [Lock.NAME, AtlasIndex.IMAGES, AtlasIndex.THUMBNAILS].includes(name))) yield* discard
})
