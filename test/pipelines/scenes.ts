import { Effect } from "effect"
import * as Scene from "../../src/domain/pixels/Scene.ts"
import * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import * as ImageSet from "../../src/layers/images/reading/ImageSet.ts"

export const CLASSES = ["ground", "red", "blue"]

const square = (colour: readonly [number, number, number]): Scene.Drawing => ({
  side: 8,
  data: Uint8Array.from({ length: 256 }, (_, i) => [...colour, 255][i % 4]!)
})

const stock: Scene.Stock = [[[square([255, 0, 0])]], [[square([0, 0, 255])]]]

const recipe: Scene.Recipe = { size: 40, count: [1, 2], side: [12, 20], overlap: 0 }

export const scenes = (name: string, length: number): ImageSet.ImageSet => {
  const made = Array.from(
    { length },
    (_, index) => Scene.random(stock, recipe, KeyedRandom.generator({ seed: 0, purpose: name, epoch: 0, index }))
  )
  return {
    ...ImageSet.memory(name, ["."], made.map(({ picture }) => picture), made.map(() => 0)),
    annotation: (index) => Effect.succeed(made[index]!.labels),
    pixelClasses: CLASSES
  }
}
