/** The map of all codes in two dimensions. A script draws it on a canvas, and lets the pointer and the arrow keys walk over it. */
import type { Json } from "../../../domain/values/Json.ts"
import { type Html, html, json } from "../../report/Html.ts"
import * as Atlas from "../Atlas.ts"
import { type AtlasLinks, template } from "./AtlasLinks.ts"

/** The browser's module that draws the map, by its place in the source. */
export const MODULE = "pipelines/atlas/browser/MapCanvas"

/** The data of the map: a row for each code with its place from 0 to 1, its share of all patches, and its colour. */
const points = (atlas: Atlas.Atlas): Json => {
  const places = Atlas.map(atlas)
  const counts = Atlas.counts(atlas)
  if (places === undefined) return []
  const total = Math.max(1, atlas.index.figures.patches)
  return Array.from(counts, (count, code) => [
    Number(places[2 * code]!.toFixed(4)),
    Number(places[2 * code + 1]!.toFixed(4)),
    Number((count / total).toPrecision(3)),
    ...Atlas.colourOf(atlas, code).map(Math.round)
  ])
}

/** Renders the map. It is a sentence if the vectors of the codes are not known. */
export const render = (atlas: Atlas.Atlas, links: AtlasLinks): Html => {
  const { map } = atlas.index
  if (map === null) {
    return html`<p>There is no map, because the vectors of the codes are not known: the quantizer was given in code.</p>`
  }
  const data = {
    points: points(atlas),
    code: template(links.code),
    picture: template((code) => links.picture("patches", code))
  }
  return html`<p>Codes with similar vectors are close to each other (${map}). The area of a dot is the share of its code. A ring is a code that does not occur. Dots have the mean colour of their patches.</p>
<div class="map" data-map><canvas tabindex="0" role="application" aria-label="Map of the codes. The arrow keys go to the next code in their direction. Enter opens its page."></canvas>
<p class="map-told" role="status"></p>
<script type="application/json">${json(data)}</script></div>`
}
