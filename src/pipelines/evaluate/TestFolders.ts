/** ImageNet's test sets in the layouts in which they are published: ImageNet-A, -R, -Sketch and -C. */
import { Effect, Option, Runtime, Schema } from "effect"
import type { Corruption } from "../../domain/corruptions/Corruption.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Images from "../../layers/images/Images.ts"
import type { Test } from "./Robustness.ts"

/** Folders of a test set are missing. */
export class LayoutMissing extends TaggedError<LayoutMissing>()("LayoutMissing", {
  /** The name of the test set. */
  set: Schema.String,
  /** The folders that are missing. */
  folders: Schema.Array(Schema.String),
  layout: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    const { folders: [first = "", ...more], layout, set } = this
    return `${set}: there is no folder ${first}${
      more.length === 0 ? "" : `, and ${more.length} more are missing`
    }. The layout is ` +
      layout
  }
  get remedy() {
    return "check the path, or unpack the missing parts"
  }
}

/** The folders of the sets that are there. */
export interface TestFolders {
  readonly imagenetA?: string | undefined
  readonly imagenetR?: string | undefined
  readonly sketch?: string | undefined
  readonly imagenetC?: string | undefined
}

const CLASS = "FOLDER/CLASS/IMAGE"

/** Loads a folder of classes. */
const load = (folder: string, options: Images.FolderOptions): Test["load"] =>
  Effect.flatMap(Images.Images, (images) => images.load("train")).pipe(
    // Each image is looked at once, so none is kept.
    Effect.provide(Images.layerFolder(folder, { ...options, splits: [], memory: 0 }))
  )

/**
 * Makes the tests of the folders. Images are listed when their test begins. `corruptions` selects those of ImageNet-C.
 *
 * Fails with {@link LayoutMissing} if a folder is missing.
 */
export const tests = Effect.fnUntraced(function*(
  folders: TestFolders,
  corruptions: ReadonlyArray<Corruption>,
  options: Images.FolderOptions = {}
) {
  const { fs, path } = yield* Files.make
  const { imagenetA, imagenetC, imagenetR, sketch } = folders
  const plain = [
    ["imagenet-a", imagenetA, "imagenet-a"],
    ["imagenet-r", imagenetR, "imagenet-r"],
    ["sketch", sketch, undefined]
  ] as const
  const found = [
    ...plain.flatMap(([name, folder, subset]) =>
      folder === undefined ? [] : [{ folder, layout: CLASS, test: { name, subset, load: load(folder, options) } }]
    ),
    ...(imagenetC === undefined ? [] : corruptions.map((corruption) => {
      const folder = path.join(imagenetC, corruption.kind, String(corruption.severity))
      const layout = "FOLDER/CORRUPTION/SEVERITY/CLASS/IMAGE"
      return { folder, layout, test: { name: "imagenet-c", corruption, stored: true, load: load(folder, options) } }
    }))
  ]
  const isThere = (folder: string) =>
    Effect.map(Effect.option(fs.stat(folder)), Option.exists(({ type }) => type === "Directory"))
  const missing = yield* Effect.filter(found, ({ folder }) => Effect.map(isThere(folder), (there) => !there))
  const [first] = missing
  if (first !== undefined) {
    const { layout, test: { name } } = first
    const lost = missing.filter(({ test }) => test.name === name).map(({ folder }) => folder)
    return yield* new LayoutMissing({ set: name, folders: lost, layout })
  }
  return found.map(({ test }): Test => test)
})
