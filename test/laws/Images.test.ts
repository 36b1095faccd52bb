import { Effect, Layer } from "effect"
import * as Laws from "../../src/laws/index.ts"
import * as Images from "../../src/layers/images/Images.ts"
import * as ImageSet from "../../src/layers/images/reading/ImageSet.ts"
import { refuses } from "./kit.ts"

const grey = (value: number) => ({ width: 2, height: 2, data: new Uint8Array(12).fill(value) })
const greys = ImageSet.memory("train", ["dark", "light"], [grey(1), grey(2), grey(3)], [0, 0, 1])

const set = (change: Partial<ImageSet.ImageSet>) => Images.layerMemory([{ ...greys, ...change }])

const drifting = () => {
  let given = 0
  return set({ image: () => Effect.sync(() => grey(given++)) })
}

const shared = () => {
  const kept = grey(0)
  return set({ image: (index) => Effect.sync(() => ({ ...kept, data: kept.data.fill(index) })) })
}

let openings = 0

const opened = (change: (opening: number) => Partial<ImageSet.ImageSet>) =>
  Layer.unwrap(Effect.sync(() => set(change(openings++))))

refuses("a source of images", (layer: Layer.Layer<Images.Images>) => Laws.images(layer), set({}), {
  "gives the same picture for the same index, in any order and repeatedly": [
    { mutant: drifting(), said: /picture \d at another time is .*\nexample: \[0\]/ },
    { mutant: shared(), said: /picture \d at another time is .*\nexample: \[\d+,\d+\]/ },
    {
      mutant: Images.layerMemory([ImageSet.memory("train", ["dark"], [], [])]),
      said: /the split "train" has no pictures\n/
    }
  ],
  "gives the same pictures, labels and names when it is opened again": [
    {
      mutant: opened((opening) => ({ image: () => Effect.succeed(grey(opening)) })),
      said: /data of 0 of pictures of the set of another opening is Uint8Array/
    },
    {
      mutant: opened((opening) => ({ image: (index) => Effect.succeed(grey(index === 2 ? opening : index)) })),
      said: /data of 2 of pictures of the set of another opening is Uint8Array/
    },
    {
      mutant: opened((opening) => ({ labels: Int32Array.of(0, 0, opening % 2) })),
      said: /labels of the set of another opening is \[0,0,\d\] but must be \[0,0,\d\]/
    },
    {
      mutant: opened((opening) => ({ describe: (index) => `${opening} ${index}` })),
      said: /names of the set of another opening is \["\d+ 0",/
    }
  ],
  "gives every picture a unique name and a label among its classes": {
    mutant: set({ labels: Int32Array.of(0, 1, 2) }),
    said: /the label 2 is not among the 2 classes/
  },
  "has the same digest at every opening": {
    mutant: opened((opening) => ({ digest: `${opening}`.padStart(64, "0") })),
    said: /the digest of another opening is "0+\d+" but must be "0+\d+"/
  },
  "loads a split once, and lists all splits in the error for an unknown one": {
    mutant: Layer.succeed(Images.Images, { splits: ["train"], load: () => Effect.succeed({ ...greys }) }),
    said: /the split was loaded again/
  },
  "dies on an index out of range": {
    mutant: set({ image: () => Effect.succeed(grey(1)) }),
    said: /picture -1 of 3 is no defect/
  }
})
