/**
 * The style of the pages of an atlas, in addition to that of all pages.
 *
 * ```ts
 * import assert from "node:assert"
 * import { AtlasStyle } from "patchword/pipelines"
 *
 * assert.match(AtlasStyle.style, /content-visibility/)
 * ```
 */

export const style = `
h2 .swatch { display: inline-block; vertical-align: -.2em }
.search { display: flex; flex-wrap: wrap; gap: .75rem 1.5rem; align-items: baseline; margin: 0 0 1.5rem }
.search[hidden] { display: none }
.search input, .search select { font: inherit; padding: .25rem .5rem; border: 1px solid var(--line); border-radius: 6px; background: var(--raised); color: var(--ink) }
.search output { color: var(--muted); font-size: .875rem }
.atlas.whole > li { content-visibility: auto; contain-intrinsic-size: auto 29rem auto 1.6rem; min-height: 1.6rem }
.atlas.whole > li[hidden] { display: none }
.windows, .mosaic { margin: 0; padding: 0; list-style: none }
.windows { display: flex; flex-wrap: wrap; gap: .75rem }
.windows li { display: grid; justify-items: center; font-size: .75rem }
.atlas .patches img, #sample ~ img { border: 1px solid var(--line); box-sizing: content-box }
.window { display: block; width: min(calc(var(--side) * 2px), 160px); aspect-ratio: 1; border-radius: 4px; overflow: hidden;
  background-image: var(--picture); background-repeat: no-repeat; image-rendering: pixelated;
  --zoom: calc(min(var(--side) * 2px, 160px) / var(--side));
  background-size: auto 100%; background-position: calc(var(--i) * -1 * (var(--side) + 1) * var(--zoom)) 0 }
.mosaic { display: grid; grid-template-columns: repeat(var(--columns), minmax(24px, 1fr)); gap: 1px; width: min(100%, 40rem); overflow-x: auto }
.mosaic a { display: block; width: 100%; min-height: 0; aspect-ratio: 1; background: var(--picture) 0 0 / auto 100% no-repeat; image-rendering: pixelated }
.mosaic a:hover { outline: 2px solid var(--accent) }
.mosaic a:focus-visible { position: relative; outline-offset: 0 }
.places { max-width: 100%; height: auto }
.places rect { fill: color-mix(in oklab, var(--accent) calc(var(--share) * 100%), var(--line)) }
.map canvas { display: block; width: 100%; height: min(80vh, 46rem); border: 1px solid var(--line); border-radius: 10px; background: var(--raised); touch-action: pan-y }
.map canvas:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px }
.map-told { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; min-height: 3rem; margin: .75rem 0 }
`
