/** Makes views by a WebAssembly kernel. The bytes are those of `ColorJitter`, `Crop.flip` and `Resample`, in less time. */
import type * as ColorJitter from "../../../domain/pixels/ColorJitter.ts"
import * as Crop from "../../../domain/pixels/Crop.ts"
import type * as Normalize from "../../../domain/pixels/Normalize.ts"
import type { Picture } from "../../../domain/pixels/Picture.ts"
import * as Resample from "../../../domain/pixels/Resample.ts"
import { viewsWasm } from "./ViewsWasm.ts"

/** The operations on an image, in this order. Of the resized image, only the part inside `window` is computed. */
export interface View {
  /** Colour changes, at most one of each property. */
  readonly changes: ReadonlyArray<ColorJitter.Change>
  readonly mirrored: boolean
  readonly box: Resample.Box
  readonly width: number
  readonly height: number
  readonly filter: Resample.Filter
  readonly window?: Resample.Box
}

type Kernel = (...numbers: ReadonlyArray<number>) => number

const wasm = new WebAssembly.Module(Uint8Array.from(atob(viewsWasm), (byte) => byte.charCodeAt(0)))

const instantiate = () => {
  const { colour, columns, memory, planes, rows } = new WebAssembly.Instance(wasm).exports
  return {
    memory: memory as WebAssembly.Memory,
    colour: colour as Kernel,
    columns: columns as Kernel,
    planes: planes as Kernel,
    rows: rows as Kernel
  }
}

const shared = instantiate()
// A memory never shrinks, so the memory for a very large picture is not kept.
const KEPT = 64 * 2 ** 20
const PAGE = 2 ** 16
// Bytes that the kernel may read or write behind a place.
const SLACK = 64

const aligned = (bytes: number): number => Math.ceil(bytes / SLACK) * SLACK

/** Allocates memory from its beginning. */
const placing = (memory: WebAssembly.Memory) => {
  let free = 0
  const room = (bytes: number): number => {
    const at = free
    free += aligned(bytes + SLACK)
    const missing = free - memory.buffer.byteLength
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE))
    return at
  }
  const put = (values: ArrayBufferView): number => {
    const at = room(values.byteLength)
    new Uint8Array(memory.buffer, at).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    return at
  }
  return { room, put }
}

/** Pixels in the memory. The first is at `at`, and each row is `step` bytes after the row before. */
interface Area {
  readonly at: number
  readonly step: number
  readonly width: number
  readonly height: number
}

// Brightness scales the distance to 0, contrast that to the mean luminance, saturation that to the pixel's own luminance.
const KINDS = { brightness: 0, contrast: 1, saturation: 2 }

// The kernel multiplies 16-bit numbers, so weights are split at this bit.
const HALF = 11

/** Writes a filter for the kernel, for a line of `length` pixels. The line is read from its end if `mirrored`. */
const passOf = ({ count, first, taps, weights }: Resample.Table, length: number, mirrored: boolean) => {
  const out = count.length
  const pairs = Math.ceil(count.reduce((most, many) => Math.max(most, many), 1) / 2)
  const halves = new Int16Array(out * pairs * 4)
  for (let position = 0; position < out; position++) {
    const many = count[position]!
    for (let tap = 0; tap < many; tap++) {
      const weight = weights[position * taps + (mirrored ? many - 1 - tap : tap)]!
      const at = (position * pairs + (tap >> 1)) * 4 + (tap & 1)
      halves[at] = weight & (2 ** HALF - 1)
      halves[at + 2] = weight >> HALF
    }
  }
  const places = mirrored ? first.map((place, position) => length - place - count[position]!) : first
  return { places, halves, pairs }
}

/** Makes the view of an image. */
export const view = (picture: Picture, { box, changes, filter, mirrored, ...of }: View): Picture => {
  const window = of.window ?? Resample.whole(of)
  const { columns: columnAxis, inside, rows: rowAxis } = Resample.reading(box, of.width, of.height, filter, window)
  const { height, width } = window
  const pixels = picture.width * picture.height
  const { colour, columns, memory, rows } = pixels * 3 > KEPT ? instantiate() : shared
  const { put, room } = placing(memory)

  /**
   * Changes the colours of an area, in place or to another place. Returns the sum of its luminances if `measure` is set.
   */
  const change = (area: Area, list: typeof changes, mean: number, to: number, measure: boolean): number => {
    const triples = new DataView(new ArrayBuffer(12 * list.length))
    list.forEach(({ factor, property }, i) => {
      triples.setInt32(12 * i, KINDS[property], true)
      triples.setFloat32(12 * i + 4, factor, true)
      triples.setFloat32(12 * i + 8, mean, true)
    })
    const at = put(triples)
    const { height: lines, step, width: across } = area
    return colour(area.at, step, to, to === 0 ? 0 : 3 * across, across, lines, at, list.length, measure ? 1 : 0)
  }
  // Contrast depends on the whole picture; the other changes depend only on pixels in the box.
  const contrast = Math.max(0, changes.findIndex(({ property }) => property === "contrast"))
  const [before, after] = [changes.slice(0, contrast), changes.slice(contrast)]
  let area: Area = { at: put(picture.data), step: 3 * picture.width, width: picture.width, height: picture.height }
  let mean = 0
  if (after[0]?.property === "contrast") {
    const at = before.length === 0 ? 0 : room(3 * pixels)
    mean = Math.trunc(change(area, before, 0, at, true) / pixels + 0.5)
    if (at !== 0) area = { ...area, at }
  }
  const left = mirrored ? picture.width - inside.left - inside.width : inside.left
  area = {
    at: area.at + inside.top * area.step + left * 3,
    step: area.step,
    width: inside.width,
    height: inside.height
  }
  if (after.length > 0) {
    const at = room(3 * inside.width * inside.height)
    change(area, after, mean, at, false)
    area = { ...area, at, step: 3 * inside.width }
  }

  const across = (from: Area): Area => {
    if (columnAxis.table === undefined) return from
    const { halves, pairs, places } = passOf(columnAxis.table, from.width, mirrored)
    // The kernel writes a byte behind each line.
    const step = aligned(3 * width + 1)
    const at = room(step * from.height)
    rows(from.at, from.step, at, step, from.height, width, put(places), put(halves), pairs)
    return { at, step, width, height: from.height }
  }
  const down = (from: Area): Area => {
    if (rowAxis.table === undefined) return from
    const { halves, pairs, places } = passOf(rowAxis.table, from.height, false)
    const step = 3 * from.width
    const at = room(step * height)
    // If a position has an odd number of taps, the line after the last is read too, with weight 0.
    room(from.step)
    columns(from.at, from.step, at, step, step, height, put(places), put(halves), pairs)
    return { at, step, width: from.width, height }
  }
  area = Resample.columnsFirst(box, of.width, of.height) ? across(down(area)) : down(across(area))

  const data = new Uint8Array(3 * width * height)
  const bytes = new Uint8Array(memory.buffer)
  for (let line = 0; line < height; line++) {
    const from = area.at + line * area.step
    data.set(bytes.subarray(from, from + 3 * width), 3 * width * line)
  }
  const result = { width, height, data }
  return mirrored && columnAxis.table === undefined ? Crop.flip(result) : result
}

/** `Resample.resize` by the kernel. */
export const resize: typeof Resample.resize = (picture, width, height, filter, box = Resample.whole(picture), window) =>
  view(picture, {
    changes: [],
    mirrored: false,
    box,
    width,
    height,
    filter,
    window: window ?? Resample.whole({ width, height })
  })

/** `ColorJitter.apply` by the kernel. */
export const recolour = (picture: Picture, changes: ReadonlyArray<ColorJitter.Change>): Picture =>
  view(picture, {
    ...Resample.whole(picture),
    changes,
    mirrored: false,
    box: Resample.whole(picture),
    filter: "bilinear"
  })

/** Writes an image into `values` from `start` on: the values of `Normalize.unit`, times a scale plus a shift. */
export const write = (
  { data, height, width }: Picture,
  { scales, shifts }: Normalize.Affine,
  values: Float32Array,
  start: number
): void => {
  const { memory, planes } = shared
  const { put, room } = placing(memory)
  const pixels = width * height
  const plane = aligned(4 * pixels + SLACK)
  const from = put(data)
  const factors = put(Float64Array.of(...scales, ...shifts))
  const to = room(3 * plane)
  planes(from, pixels, to, plane, factors)
  for (let channel = 0; channel < 3; channel++) {
    values.set(new Float32Array(memory.buffer, to + channel * plane, pixels), start + channel * pixels)
  }
}
