/** The view of the atlas: the list of codes, the map of codes, a page for each code, and one for each image. */
import { Effect, type FileSystem, type Path } from "effect"
import * as Files from "../../layers/files/Files.ts"
import * as Atlas from "../../pipelines/atlas/Atlas.ts"
import type { AtlasLinks } from "../../pipelines/atlas/views/AtlasLinks.ts"
import * as CodeList from "../../pipelines/atlas/views/CodeList.ts"
import * as CodePage from "../../pipelines/atlas/views/CodePage.ts"
import * as ImageCodes from "../../pipelines/atlas/views/ImageCodes.ts"
import * as MapPage from "../../pipelines/atlas/views/MapPage.ts"
import { type Html, html } from "../../pipelines/report/Html.ts"
import { failed, missing } from "./Missing.ts"
import type { Place, Viewed } from "./View.ts"

type FileError = Files.FileError
type Io = FileSystem.FileSystem | Path.Path

/** The place of the view in addresses. */
export const ID = "atlas"

// A page in one file holds its pictures.
const MOST_IN_ONE_FILE = 48

/** Makes the addresses of a server, which has a page for each code and for each image. */
const served = ({ id, links }: Place, address: (id: string, name: string) => string): AtlasLinks => ({
  picture: (kind, code) => address(id, `${Atlas.FOLDER}/${Atlas.picture(kind, code)}`),
  code: (code) => `${links.run(id, ID)}/codes/${code}`,
  image: (image) => `${links.run(id, ID)}/images/${image}`
})

/** Makes the addresses within one file, which has the list alone, and the pictures of its codes. */
const kept = Effect.fnUntraced(function*(
  place: Place,
  codes: ReadonlyArray<number>
): Effect.fn.Return<AtlasLinks, FileError, Io> {
  const { id, links, run } = place
  const pictures = new Map(
    yield* Effect.forEach(codes, (code) =>
      Effect.map(
        links.file({ id, run }, `${Atlas.FOLDER}/${Atlas.picture("patches", code)}`),
        (address) => [code, address] as const
      ))
  )
  const list = () => links.run(id, ID)
  return { picture: (_, code) => pictures.get(code) ?? "data:,", code: list, image: list }
})

const number = (text: string | undefined): number => /^\d{1,9}$/.test(text ?? "") ? Number(text) : -1

/** Renders the links between the pages of the atlas. */
const pages = ({ id, links }: Place): Html =>
  html`<nav aria-label="Atlas"><ul><li><a href="${links.run(id, ID)}">List of codes</a></li><li><a href="${
    links.run(id, ID)
  }/map">Map of codes</a></li><li><a href="${links.run(id, ID)}/images/0">Images as codes</a></li></ul></nav>`

/** Tells that pictures of a code are missing. */
const absent = (atlas: Atlas.Atlas, code: number): Html | undefined => {
  const lost = Atlas.lostOf(atlas, code)
  return lost === undefined ? undefined : failed(lost)
}

const rendered = Effect.fnUntraced(function*(
  place: Place,
  atlas: Atlas.Atlas
): Effect.fn.Return<Viewed | undefined, Atlas.AtlasError | FileError, Io> {
  const { inner, links: { address } } = place
  if (address === undefined) {
    const codes = Atlas.used(atlas).slice(0, MOST_IN_ONE_FILE)
    return { main: CodeList.render(atlas, yield* kept(place, codes), MOST_IN_ONE_FILE) }
  }
  const links = served(place, address)
  const [kind, ...rest] = inner.split("/")
  const at = number(rest[0])
  const shown = (main: Html): Viewed => ({ main: html`${pages(place)}\n${main}` })
  if (inner === "") return { ...shown(CodeList.render(atlas, links)), modules: [CodeList.MODULE] }
  if (inner === "map") return { ...shown(MapPage.render(atlas, links)), modules: [MapPage.MODULE] }
  if (rest.length !== 1) return undefined
  const { codes, images } = atlas.index.figures
  const lost = (told: string): Viewed => ({ ...shown(missing(told)), isLost: true })
  if (kind === "codes") {
    const code = Atlas.code(atlas, at)
    return code === undefined
      ? lost(`There is no code ${rest[0]}. The codes of this atlas are 0 to ${codes - 1}.`)
      : shown(html`${absent(atlas, at)}${CodePage.render(atlas, code, links)}`)
  }
  if (kind !== "images") return undefined
  if (!atlas.index.keepsImages) return lost("This atlas was made without the codes of its images (--no-image-codes).")
  const image = yield* Atlas.image(atlas, at)
  return image === undefined
    ? lost(`There is no image ${rest[0]}. The images of this atlas are 0 to ${images - 1}.`)
    : shown(ImageCodes.render(atlas, image, links))
})

/** Reads and renders a page of the atlas. `undefined` if there is none at the place. */
export const render = (place: Place): Effect.Effect<Viewed | undefined, Atlas.AtlasError | FileError, Io> =>
  place.atlas(place.run.path).pipe(
    Effect.flatMap((atlas) => rendered(place, atlas)),
    Effect.catchIf(
      (error) => error._tag === "AtlasError" && error.reason._tag === "NoAtlas",
      () =>
        Effect.succeed<Viewed>({
          main: missing("This run has no atlas of its codes.", `patchword atlas ${place.run.path} --images IMAGES`)
        })
    )
  )
