import { Effect } from "effect"
import { Teacher } from "../../../src/layers/index.ts"
import { HostTensor } from "../../../src/shapes/index.ts"

const sixNumbers = <B extends number>(
  images: HostTensor.HostTensor<[B, 3, number, number], "float32">
): Effect.Effect<HostTensor.HostTensor<[B, number, 6], "float32">> =>
  Effect.succeed(HostTensor.zeros([images.shape[0], 36, 6], "float32"))

export const teacher = Teacher.Teacher.of({ name: "six", width: 6, digest: "six", features: sixNumbers })

export const anyShapes: ReadonlyArray<HostTensor.HostTensor> = [
  HostTensor.zeros([2], "int32"),
  HostTensor.zeros([], "bool")
]
