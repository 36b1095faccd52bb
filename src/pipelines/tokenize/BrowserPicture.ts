/**
 * Decodes image files in a browser, with the pixels that patchword reads in Node.js. This file runs in browsers: it imports modules without
 * dependencies only.
 *
 * Files of 8 bits for each channel in sRGB have the same pixels, with and without transparency. Other colour profiles, 16 bits and JPEG are
 * decoded by the browser, which may round differently.
 */
import type { Picture } from "../../domain/pixels/Picture.ts"
import * as PictureFile from "./PictureFile.ts"

/** The way to read colours: as a person sees them, or as the official code does. */
export type Colour = "managed" | "official"

/** The grey behind transparent parts in managed colours. */
const GROUND = 128

interface Rgba {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array | Uint8ClampedArray
}

const optionsOf = (colour: Colour): ImageBitmapOptions => ({
  premultiplyAlpha: "none",
  ...(colour === "official"
    ? { imageOrientation: "none" as ImageOrientation, colorSpaceConversion: "none" }
    : { imageOrientation: "from-image", colorSpaceConversion: "default" })
})

/** Draws a bitmap and reads it back. A canvas keeps colours multiplied by their alpha, so only opaque pixels are exact. */
const drawn = (bitmap: ImageBitmap): Rgba => {
  const { height, width } = bitmap
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!
  context.drawImage(bitmap, 0, 0)
  return context.getImageData(0, 0, width, height)
}

/**
 * Reads a bitmap with transparency through a texture, which keeps the colours as they are. Throws an error if the browser has no WebGL, or if the
 * picture is too large for a texture.
 */
const textured = (bitmap: ImageBitmap): Rgba => {
  const { height, width } = bitmap
  const gl = new OffscreenCanvas(1, 1).getContext("webgl")
  if (gl === null) throw new Error("this browser has no WebGL, which transparent pictures need")
  if (Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) {
    throw new Error(`a transparent picture of ${width} × ${height} pixels is too large for this browser`)
  }
  const texture = gl.createTexture()
  gl.bindTexture(gl.TEXTURE_2D, texture)
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false)
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE)
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap)
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer())
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0)
  const data = new Uint8Array(4 * width * height)
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, data)
  gl.getExtension("WEBGL_lose_context")?.loseContext()
  return { width, height, data }
}

const isOpaque = ({ data }: Rgba): boolean => {
  for (let at = 3; at < data.length; at += 4) if (data[at] !== 255) return false
  return true
}

/** Drops transparency: over grey in managed colours, as libvips does, or by leaving it out in official ones. */
export const opaque = (pixels: Rgba, colour: Colour): Picture => {
  const { data, height, width } = pixels
  const rgb = new Uint8Array(3 * width * height)
  for (let from = 0, to = 0; from < data.length; from += 4) {
    const alpha = colour === "official" ? 255 : data[from + 3]!
    for (let channel = 0; channel < 3; channel++) {
      rgb[to++] = Math.trunc((data[from + channel]! * alpha + GROUND * (255 - alpha)) / 255)
    }
  }
  return { width, height, data: rgb }
}

/** Decodes a file. Rejects if the browser cannot decode it. */
export const decode = async (file: Blob, colour: Colour): Promise<Picture> => {
  const bitmap = await createImageBitmap(file, optionsOf(colour)).catch(() => {
    throw new Error(PictureFile.UNREADABLE)
  })
  const plain = drawn(bitmap)
  const picture = opaque(isOpaque(plain) ? plain : textured(bitmap), colour)
  bitmap.close()
  return picture
}
