/** The view of the atlas: the list of codes, the map of codes, a page for each code, and one for each image. */
import { Effect, type FileSystem, type Path } from "effect"
import * as Files from "../../layers/files/Files.ts"
import * as OtherWeights from "../../pipelines/artifacts/OtherWeights.ts"
import * as Atlas from "../../pipelines/atlas/Atlas.ts"
import * as Sprites from "../../pipelines/atlas/Sprites.ts"
import type { AtlasLinks } from "../../pipelines/atlas/views/AtlasLinks.ts"
import * as CodeList from "../../pipelines/atlas/views/CodeList.ts"
import * as CodePage from "../../pipelines/atlas/views/CodePage.ts"
import * as ImageCodes from "../../pipelines/atlas/views/ImageCodes.ts"
import * as ImageTiles from "../../pipelines/atlas/views/ImageTiles.ts"
import * as MapPage from "../../pipelines/atlas/views/MapPage.ts"
import { type Html, html } from "../../pipelines/report/Html.ts"
import * as Numbers from "../../pipelines/report/Numbers.ts"
import { failed, missing } from "./Missing.ts"
import * as Remade from "./Remade.ts"
import type { Place, Viewed } from "./View.ts"

type FileError = Files.FileError
type Io = FileSystem.FileSystem | Path.Path

/** The place of the view in addresses. */
export const ID = "atlas"

/** The place of the parts that the server makes: `/runs/RUN/atlas-parts/…`. */
export const PARTS = "atlas-parts"

/** Makes the addresses of a server, which has a page for each code and for each image. */
const served = ({ id, links }: Place, address: (id: string, name: string) => string): AtlasLinks => ({
  picture: (kind, code) => address(id, `${Atlas.FOLDER}/${Atlas.picture(kind, code)}`),
  strips: (codes) => `${links.run(id, PARTS)}/strips/${codes.join("-")}.webp`,
  mosaic: (image) => `${links.run(id, PARTS)}/mosaics/${image}.webp`,
  thumbnail: (image) => `${links.run(id, PARTS)}/thumbnails/${image}.webp`,
  code: (code) => `${links.run(id, ID)}/codes/${code}`,
  image: (image) => `${links.run(id, ID)}/images/${image}`,
  gallery: (from) => `${links.run(id, ID)}/images${from <= 0 ? "" : `/from/${from}`}`,
  withCode: (code, from) => `${links.run(id, ID)}/codes/${code}/images/${from}`,
  list: (from) => `${links.run(id, ID)}${from <= 0 ? "" : `/list/${from}`}`,
  data: `${links.run(id, PARTS)}/codes.json`
})

// The pictures of codes in one file, in bytes.
const BUDGET = 4e6

const dataOf = (bytes: Uint8Array): string => `data:image/webp;base64,${Buffer.from(bytes).toString("base64")}`

/** Renders the atlas for one file, which holds its map, and as many codes as their pictures have place. */
const kept = Effect.fnUntraced(function*({ id, links, run }: Place, atlas: Atlas.Atlas) {
  const codes = Atlas.used(atlas)
  const pictures = new Map<number, string>()
  let [size, held] = [0, 0]
  for (const block of CodeList.blocks(codes)) {
    const bytes = yield* Sprites.strips(atlas, block)
    if (size + bytes.length > BUDGET) break
    size += bytes.length
    held += block.length
    pictures.set(block[0]!, dataOf(bytes))
  }
  const list = () => links.run(id, ID)
  const own: AtlasLinks = {
    picture: () => "",
    strips: ([first = -1]) => pictures.get(first) ?? "data:,",
    mosaic: list,
    thumbnail: list,
    gallery: list,
    withCode: list,
    code: (code) => `${list()}-code-${code}`,
    image: list,
    list,
    data: ""
  }
  const left = codes.length - held
  return html`${CodeList.figures(atlas)}
<section aria-labelledby="map"><h2 id="map">Map of codes</h2>${MapPage.render(atlas, own)}</section>
<section aria-labelledby="list"><h2 id="list">Codes</h2><p>${
    left === 0
      ? `All ${Numbers.count(held)} codes that occur are in this file.`
      : `The ${Numbers.count(held)} most frequent codes are in this file, whose pictures may take ${BUDGET / 1e6} MB. ${
        Numbers.count(left)
      } codes are left out: patchword studio ${run.path} shows them.`
  }</p>
${lost(atlas)}${CodeList.rows(atlas, codes.slice(0, held), own, false)}</section>`
})

const number = (text: string | undefined): number => /^\d{1,9}$/.test(text ?? "") ? Number(text) : -1

/** Renders the links between the pages of the atlas. */
const pages = ({ id, links }: Place): Html =>
  html`<nav aria-label="Atlas"><ul><li><a href="${links.run(id, ID)}">List of codes</a></li><li><a href="${
    links.run(id, ID)
  }/map">Map of codes</a></li><li><a href="${links.run(id, ID)}/images">Images</a></li></ul></nav>`

/** Tells that pictures are missing. */
const lost = (atlas: Atlas.Atlas): Html | undefined => {
  const error = Atlas.lostOfAll(atlas)
  return error && failed(error)
}

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
  if (address === undefined) return { main: yield* kept(place, atlas), modules: [MapPage.MODULE] }
  const links = served(place, address)
  const [kind, ...rest] = inner.split("/")
  const at = number(rest[0])
  const shown = (main: Html): Viewed => ({ main: html`${pages(place)}\n${main}` })
  if (inner === "" || (kind === "list" && rest.length === 1)) {
    const list = CodeList.render(atlas, links, inner === "" ? 0 : at)
    return list === undefined ? undefined : { ...shown(html`${lost(atlas)}${list}`), modules: [CodeList.MODULE] }
  }
  if (inner === "map") return { ...shown(MapPage.render(atlas, links)), modules: [MapPage.MODULE] }
  const { codes, images } = atlas.index.figures
  const nowhere = (told: string): Viewed => ({ ...shown(missing(told)), isLost: true })
  if (kind === "codes" && (rest.length === 1 || (rest[1] === "images" && rest.length === 3))) {
    const code = Atlas.code(atlas, at)
    if (code === undefined) {
      return nowhere(`There is no code ${rest[0]}. The codes of this atlas are 0 to ${codes - 1}.`)
    }
    if (rest.length === 1) return shown(html`${absent(atlas, at)}${CodePage.render(atlas, code, links)}`)
    const from = number(rest[2])
    return from < 0 || from > images || !atlas.index.keepsImages
      ? undefined
      : shown(ImageTiles.withCode(atlas, at, yield* Atlas.withCode(atlas, at, from, ImageTiles.PAGE), links))
  }
  if (kind !== "images") return undefined
  if (!atlas.index.keepsImages && atlas.index.thumbnails === 0) {
    return nowhere("This atlas was made without its images (--no-image-codes, --thumbnails 0).")
  }
  if (rest.length === 0 || (rest[0] === "from" && rest.length === 2)) {
    const gallery = ImageTiles.gallery(atlas, links, rest.length === 0 ? 0 : number(rest[1]))
    return gallery === undefined ? undefined : { ...shown(gallery), modules: [ImageTiles.MODULE] }
  }
  if (rest.length !== 1) return undefined
  if (!atlas.index.keepsImages) {
    return nowhere("This atlas was made without the codes of its images (--no-image-codes).")
  }
  const image = yield* Atlas.image(atlas, at)
  return image === undefined
    ? nowhere(`There is no image ${rest[0]}. The images of this atlas are 0 to ${images - 1}.`)
    : { ...shown(ImageCodes.render(atlas, image, links)), modules: [ImageCodes.MODULE] }
})

/** Reads and renders a page of the atlas. `undefined` if there is none at the place. */
export const render = (place: Place): Effect.Effect<Viewed | undefined, Atlas.AtlasError | FileError, Io> =>
  place.atlas(place.run.path).pipe(
    Effect.flatMap(Effect.fnUntraced(function*(atlas) {
      const viewed = yield* rendered(place, atlas)
      const command = `patchword atlas ${place.run.path} --images IMAGES --replace`
      const note = yield* Remade.notes(place, [OtherWeights.atlas(atlas.index)], command)
      return viewed === undefined || note === undefined ? viewed : { ...viewed, main: html`${note}${viewed.main}` }
    })),
    Effect.catchIf(
      Atlas.isNone,
      () =>
        Effect.succeed<Viewed>({
          main: missing("This run has no atlas of its codes.", `patchword atlas ${place.run.path} --images IMAGES`)
        })
    )
  )
