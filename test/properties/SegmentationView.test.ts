import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Crop from "../../src/domain/pixels/Crop.ts"
import * as LabelMap from "../../src/domain/pixels/LabelMap.ts"
import * as OpenCvHsv from "../../src/domain/pixels/OpenCvHsv.ts"
import * as OpenCvResize from "../../src/domain/pixels/OpenCvResize.ts"
import * as PhotometricDistortion from "../../src/domain/pixels/PhotometricDistortion.ts"
import type { Picture } from "../../src/domain/pixels/Picture.ts"
import * as SegmentationView from "../../src/domain/pixels/SegmentationView.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"

const side = fc.integer({ min: 1, max: 12 })

const pixels = (width: number, height: number) =>
  fc.uint8Array({ minLength: 3 * width * height, maxLength: 3 * width * height })

const picture = fc.tuple(side, side).chain(([width, height]) =>
  pixels(width, height).map((data): Picture => ({ width, height, data }))
)

/** An image whose red value is the class of its pixel. */
const annotated = fc.tuple(side, side).chain(([width, height]) =>
  fc.uint8Array({ minLength: width * height, maxLength: width * height, max: 3 }).map((
    labels
  ): SegmentationView.Annotated => ({
    picture: {
      width,
      height,
      data: Uint8Array.from({ length: 3 * labels.length }, (_, i) => labels[Math.floor(i / 3)]!)
    },
    labels: { width, height, data: labels }
  }))
)

const reds = ({ data }: Picture) => data.filter((_, i) => i % 3 === 0)

const drawsOf = (index: number) => KeyedRandom.generator({ seed: 0, purpose: "view", epoch: 0, index })

const still = { size: 8, resize: null, scale: [1, 1], maxClassShare: 0.75, flip: 0.5, distortion: null } as const

describe("views for segmentation", () => {
  it("crop and mirror an image and its labels alike, and depend on their key alone", () => {
    fc.assert(fc.property(annotated, fc.nat(), (shown, index) => {
      const view = SegmentationView.random(shown, still, drawsOf(index))
      assert.deepStrictEqual(reds(view.picture), view.labels.data)
      assert.strictEqual(view.labels.width, Math.min(8, shown.labels.width))
      assert.deepStrictEqual(SegmentationView.random(shown, still, drawsOf(index)), view)
    }))
  })

  it("change the colours as they are told to, and the labels never", () => {
    const jitter = { brightness: 0.3, contrast: 0.3, saturation: 0.3 }
    const recipe = { ...still, flip: 0 }
    const grey = (data: Uint8Array) => data.every((value, i) => value === data[i - i % 3])
    fc.assert(fc.property(annotated, fc.nat(), (shown, index) => {
      const plain = SegmentationView.random(shown, recipe, drawsOf(index))
      const bright = { ...shown.picture, data: shown.picture.data.map((red) => 60 * red) }
      const view = SegmentationView.random(
        { ...shown, picture: bright },
        { ...recipe, distortion: jitter },
        drawsOf(index)
      )
      assert.deepStrictEqual(view.labels, plain.labels)
      assert.isTrue(grey(view.picture.data))
      const still0 = { ...recipe, distortion: { brightness: 0, contrast: 0, saturation: 0 } }
      assert.deepStrictEqual(SegmentationView.random(shown, still0, drawsOf(index)), plain)
    }))
    const red = { width: 4, height: 4, data: Uint8Array.from({ length: 48 }, (_, i) => i % 3 === 0 ? 200 : 50) }
    const shown = { picture: red, labels: { width: 4, height: 4, data: new Uint8Array(16) } }
    const hues = (distortion: SegmentationView.Recipe["distortion"]) =>
      new Set(Array.from({ length: 40 }, (_, index) => {
        const { picture } = SegmentationView.random(shown, { ...recipe, distortion }, drawsOf(index))
        return picture.data[1]! - picture.data[2]!
      }))
    assert.deepStrictEqual([...hues(jitter)], [0])
    assert.isAbove(hues("mmsegmentation").size, 2)
  })

  it("fit into both sides, and touch one of them", () => {
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 900 }), fc.integer({ min: 10, max: 900 }), (width, height) => {
        const found = SegmentationView.fit({ width, height }, [400, 100])
        const [long, short] = [Math.max(found.width, found.height), Math.min(found.width, found.height)]
        assert.isTrue(long <= 400 && short <= 100 && (long === 400 || short === 100))
      })
    )
  })

  it("show no crop of nearly one class if another one is found", () => {
    const [width, height] = [40, 4]
    const data = Uint8Array.from({ length: width * height }, (_, i) => i % width < 20 ? 0 : (i % 2) + 1)
    const labels = { width, height, data }
    const shown = { labels, picture: { width, height, data: new Uint8Array(3 * data.length) } }
    const one = (recipe: SegmentationView.Recipe, index: number) => {
      const found = SegmentationView.crop(shown, recipe, drawsOf(index)).labels.data
      return found.every((label) => label === 0)
    }
    const count = (recipe: SegmentationView.Recipe) =>
      Array.from({ length: 100 }, (_, index) => one(recipe, index)).filter(Boolean).length
    assert.isAbove(count({ ...still, size: 4, maxClassShare: 1 }), 20)
    assert.strictEqual(count({ ...still, size: 4 }), 0)
  })
})

describe("label maps", () => {
  it("are reduced, resized, mirrored and padded", () => {
    const map = { width: 3, height: 1, data: Uint8Array.of(0, 1, 255) }
    assert.deepStrictEqual([...LabelMap.reduceZero(map).data], [255, 0, 255])
    assert.deepStrictEqual([...LabelMap.flip(map).data], [255, 1, 0])
    assert.deepStrictEqual([...LabelMap.resize(map, 6, 2).data], [0, 0, 1, 1, 255, 255, 0, 0, 1, 1, 255, 255])
    assert.deepStrictEqual([...LabelMap.pad(map, 3).data], [0, 1, 255, 255, 255, 255, 255, 255, 255])
  })

  it("keep their size, and mirror back", () => {
    fc.assert(fc.property(annotated, ({ labels }) => {
      assert.deepStrictEqual(LabelMap.resize(labels, labels.width, labels.height), labels)
      assert.deepStrictEqual(LabelMap.flip(LabelMap.flip(labels)), labels)
      assert.deepStrictEqual(LabelMap.cut(labels, { left: 0, top: 0, ...labels }), labels)
    }))
  })
})

describe("OpenCV's operations", () => {
  it("convert to hue and back within a few levels", () => {
    fc.assert(fc.property(picture, (shown) => {
      const back = OpenCvHsv.toPicture(shown, OpenCvHsv.of(shown))
      back.data.forEach((value, i) => assert.isAtMost(Math.abs(value - shown.data[i]!), 5))
    }))
  })

  it("resize to values between the neighbours, and a mirrored picture to the mirrored result within a level", () => {
    fc.assert(fc.property(picture, side, side, (shown, width, height) => {
      const found = OpenCvResize.bilinear(shown, width, height)
      assert.isTrue(Math.min(...found.data) >= Math.min(...shown.data) - 1)
      assert.isTrue(Math.max(...found.data) <= Math.max(...shown.data))
      const turned = Crop.flip(OpenCvResize.bilinear(Crop.flip(shown), width, height))
      turned.data.forEach((value, i) => assert.isAtMost(Math.abs(value - found.data[i]!), 1))
    }))
  })

  it("are computed in 32 bits, where a level of 206 becomes 205", () => {
    const hsv = Uint8Array.from({ length: 3 * 32 }, (_, i) => [0, 49, 255][i % 3]!)
    const { data } = OpenCvHsv.toPicture({ width: 32, height: 1 }, hsv)
    assert.deepStrictEqual(Array.from(data.subarray(0, 3)), [255, 205, 205])
  })

  it.each([
    ["brightness", [1, 0, 0, 0, 0], 0, (shown: Picture) => PhotometricDistortion.brightness(shown, -32)],
    ["brightness", [1, 0, 0, 0, 0], 0.75, (shown: Picture) => PhotometricDistortion.brightness(shown, 16)],
    ["an early contrast", [0, 1, 1, 0, 0], 0, (shown: Picture) => PhotometricDistortion.contrast(shown, 0.5)],
    ["a late contrast", [0, 0, 0, 0, 1], 0.75, (shown: Picture) => PhotometricDistortion.contrast(shown, 1.25)],
    ["saturation", [0, 0, 1, 0, 0], 0.25, (shown: Picture) => PhotometricDistortion.saturation(shown, 0.75)]
  ])("draw %s from the official range: %j, %d", (_, happens, uniform, change) => {
    fc.assert(fc.property(picture, (shown) => {
      const left = [...happens]
      const draws = { integer: () => left.shift()!, uniform: () => uniform, normal: () => 0 }
      assert.deepStrictEqual(PhotometricDistortion.random(shown, draws), change(shown))
    }))
  })

  it("change nothing by amounts of nothing, and turn the hue all around", () => {
    fc.assert(fc.property(picture, (shown) => {
      assert.deepStrictEqual(PhotometricDistortion.brightness(shown, 0), shown)
      assert.deepStrictEqual(PhotometricDistortion.contrast(shown, 1), shown)
      const same = OpenCvHsv.toPicture(shown, OpenCvHsv.of(shown))
      assert.deepStrictEqual(PhotometricDistortion.saturation(shown, 1), same)
      assert.deepStrictEqual(PhotometricDistortion.hue(shown, OpenCvHsv.HUES), same)
    }))
  })
})
