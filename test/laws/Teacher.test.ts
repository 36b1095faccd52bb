import { Effect, Layer, ManagedRuntime } from "effect"
import * as Laws from "../../src/laws/index.ts"
import * as Teacher from "../../src/layers/teacher/Teacher.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import { refuses } from "./kit.ts"

type Service = Teacher.Teacher["Service"]

const means: Service = {
  name: "means",
  width: 1,
  digest: "0".repeat(64),
  features: ({ data, shape: [count, channels, height, width] }) =>
    Effect.sync(() => {
      const each = channels * height * width
      const mean = (at: number) => data.subarray(at * each, (at + 1) * each).reduce((sum, x) => sum + x, 0) / each
      return HostTensor.make([count, 1, 1], "float32", Float32Array.from({ length: count }, (_, at) => mean(at)))
    })
}

const changed = (change: Partial<Service>) =>
  ManagedRuntime.make(Layer.succeed(Teacher.Teacher, { ...means, ...change }))

const first: Service["features"] = (images) =>
  Effect.map(means.features(images), ({ data, shape }) => HostTensor.make(shape, "float32", data.map(() => data[0]!)))

const darkening: Service["features"] = (images) =>
  Effect.tap(means.features(images), () => Effect.sync(() => images.data.fill(0)))

const blind: Service["features"] = ({ shape: [count] }) =>
  Effect.sync(() => HostTensor.make([count, 1, 1], "float32", new Float32Array(count).fill(1)))

const lost: Service["features"] = (images) =>
  Effect.map(
    means.features(images),
    ({ data, shape }) => HostTensor.make(shape, "float32", data.map((x, at) => (at === 1 ? NaN : x)))
  )

const shared = (): Service["features"] => {
  const kept = new Float32Array(9)
  return (images) =>
    Effect.map(means.features(images), ({ data, shape }) => {
      kept.set(data)
      return HostTensor.make(shape, "float32", kept.subarray(0, data.length))
    })
}

refuses("a teacher", (runtime: ReturnType<typeof changed>) => Laws.teacher(runtime, { side: 4 }), changed({}), {
  "gives every patch of every image a finite feature of its width": {
    mutant: changed({ width: 2 }),
    said: /the pair of image count and feature width is \[1,1\] but must be \[1,2\]\nexample: \{"count":1,"seed":0\}/
  },
  "gives an image the same features in any batch": [
    {
      mutant: changed({ features: first }),
      said: /number 0 of the features of image 1 among 2 is 0\.\d+ but must be about 0\.\d+/
    },
    { mutant: changed({ features: lost }), said: /feature 1 is NaN\n/ }
  ],
  "gives equal images equal features and different images different ones, and does not change images": [
    {
      mutant: changed({ features: darkening }),
      said: /0 of the array of images after the call is 0 but must be/
    },
    { mutant: changed({ features: blind }), said: /the images and their negatives have the same features/ },
    { mutant: changed({ features: shared() }), said: /the result of the (second|first) call/ }
  ],
  "has a name, a width and a digest": {
    mutant: changed({ digest: "none" }),
    said: /the digest is "none", not 64 hexadecimal digits/
  }
})
