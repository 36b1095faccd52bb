/** Small pictures of patches and codes, drawn pixel by pixel and shown enlarged. */
import { Effect } from "effect"
import { type Canvas, type Colour, mean, mix } from "../../domain/pixels/Canvas.ts"
import type { Picture } from "../../domain/pixels/Picture.ts"
import { type Html, html } from "./Html.ts"

export {
  type Canvas,
  canvas,
  cells,
  type Colour,
  fill,
  mean,
  mix,
  outline,
  paste,
  pixel,
  strip
} from "../../domain/pixels/Canvas.ts"

// A multiplicative hash spreads neighbouring codes; its parts serve as independent fractions.
const hash = (code: number): Colour => {
  const bits = Math.imul(code + 1, 0x9e3779b1) >>> 0
  return [bits >>> 24, (bits >>> 12) & 255, (bits >>> 4) & 255]
}

/**
 * Returns the colour of a code: that of its mean patch, changed a little by the code itself, so that similar codes look
 * different.
 */
export const colourOf = (means: ReadonlyMap<number, Picture>) => (code: number): Colour => {
  const known = means.get(code)
  return known === undefined ? mix([128, 128, 128], hash(code), 0.7) : mix(mean(known), hash(code), 0.14)
}

/** Encodes a picture or a canvas as PNG. */
export const png = Effect.fnUntraced(function*(drawn: Picture | Canvas) {
  const { data, height, width } = drawn
  const { default: sharp } = yield* Effect.promise(() => import("sharp"))
  const channels = data.length === 3 * width * height ? 3 : 4
  return yield* Effect.promise(() =>
    sharp(data, { raw: { width, height, channels } }).png({ compressionLevel: 9 }).toBuffer()
  )
})

/**
 * Renders a canvas as an `img`. Each of its pixels is `zoom` CSS pixels wide (`narrow` on small screens). The canvas is encoded
 * as PNG.
 */
export const image = Effect.fnUntraced(
  function*(on: Canvas, alt: string, zoom: number, narrow = zoom): Effect.fn.Return<Html> {
    const { height, width } = on
    const encoded = yield* png(on)
    const style = `--w:${width};--zoom:${zoom};--narrow:${narrow}`
    return html`<img src="data:image/png;base64,${
      encoded.toString("base64")
    }" alt="${alt}" width="${width}" height="${height}" style="${style}">`
  }
)
