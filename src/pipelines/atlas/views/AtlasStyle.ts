/**
 * The style of the pages of an atlas, in addition to that of all pages.
 *
 * ```ts
 * import assert from "node:assert"
 * import { AtlasStyle } from "patchword/pipelines"
 *
 * assert.match(AtlasStyle.style, /\.strip/)
 * ```
 */

export const style = `
h2 .swatch { display: inline-block; vertical-align: -.2em }
.search { display: flex; flex-wrap: wrap; gap: .75rem 1.5rem; align-items: baseline; margin: 0 0 1.5rem }
.search[hidden] { display: none }
.search input, .search select { font: inherit; padding: .25rem .5rem; border: 1px solid var(--line); border-radius: 6px; background: var(--raised); color: var(--ink) }
.search output { color: var(--muted); font-size: .875rem }
.pager a { display: inline-block; min-height: 24px; line-height: 24px; margin-right: 1.5rem }
.atlas .code a, .atlas-pairs th a, h2 a { display: inline-block; min-width: 24px; min-height: 24px }
.atlas + .atlas { margin-top: .6rem }
.atlas .strip, #sample ~ * .strip { border: 1px solid var(--line) }
.strip { --scale: var(--zoom); display: block; box-sizing: content-box; width: calc(var(--w) * var(--scale) * 1px); height: calc(var(--h) * var(--scale) * 1px);
  max-width: 100%; background: var(--picture) 0 calc(var(--at) * (var(--h) + 1) * var(--scale) * -1px) / calc(var(--sheet) * var(--scale) * 1px) auto no-repeat; image-rendering: pixelated }
.windows, .mosaic { margin: 0; padding: 0; list-style: none }
.windows { display: flex; flex-wrap: wrap; gap: .75rem }
.windows li { display: grid; justify-items: center; font-size: .75rem }
.atlas .patches img, #sample ~ img { border: 1px solid var(--line); box-sizing: content-box }
.window { display: block; width: min(calc(var(--side) * 2px), 160px); aspect-ratio: 1; border-radius: 4px; overflow: hidden;
  background-image: var(--picture); background-repeat: no-repeat; image-rendering: pixelated;
  --zoom: calc(min(var(--side) * 2px, 160px) / var(--side));
  background-size: auto 100%; background-position: calc(var(--i) * -1 * (var(--side) + 1) * var(--zoom)) 0 }
.mosaic { display: grid; grid-template-columns: repeat(var(--columns), minmax(24px, 1fr)); width: 100%; min-width: max-content; max-width: 40rem; background: var(--picture) 0 0 / 100% 100% no-repeat; image-rendering: pixelated }
.image-and-codes { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1.5rem }
.mosaic a.same { outline: 2px solid var(--accent); outline-offset: -2px; background: color-mix(in oklab, var(--accent) 35%, transparent) }
.tiles-of-images { display: grid; grid-template-columns: repeat(auto-fill, minmax(112px, 1fr)); gap: 8px; margin: 0; padding: 0; list-style: none }
.tiles-of-images a { position: relative; display: block; aspect-ratio: 1 }
.tiles-of-images img { width: 100%; height: 100%; border-radius: 4px; image-rendering: auto; background: var(--raised) }
.tiles-of-images svg { position: absolute; inset: 0; width: 100%; height: 100% }
.tiles-of-images rect { fill: none; stroke: #e02020; stroke-width: 2px; vector-effect: non-scaling-stroke }
.mosaic a { display: block; width: 100%; min-height: 0; aspect-ratio: 1 }
.mosaic a:hover { outline: 2px solid var(--accent) }
.mosaic a:focus-visible { position: relative; outline-offset: 0 }
.places { max-width: 100%; height: auto }
.places rect { fill: color-mix(in oklab, var(--accent) calc(var(--share) * 100%), var(--line)) }
.map canvas { display: block; width: 100%; height: min(80vh, 46rem); border: 1px solid var(--line); border-radius: 10px; background: var(--raised); touch-action: pan-y }
.map canvas:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px }
.map-told { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; min-height: 3rem; margin: .75rem 0 }
@media (max-width: 480px) { .strip { --scale: var(--narrow) } }
`
