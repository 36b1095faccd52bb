/** ONNX models with the files in which they keep numbers outside of themselves. */
import { Effect } from "effect"
import * as ExternalData from "../../compiler/graph/ExternalData.ts"
import type { ModelFile } from "../engine/Engine.ts"
import * as Files from "../files/Files.ts"
import { ModelInvalid } from "./TeacherError.ts"

/** Whether a file that another one names is in its folder or below, on every system. */
export const isInside = (place: string): boolean =>
  place !== "" && !/^[/\\]|^[A-Za-z]:|\\/.test(place) && !place.split("/").includes("..")

/** A model, its other files, and a SHA-256 of all of it. */
export const read = Effect.fnUntraced(function*(file: string) {
  const { fs, path, regular } = yield* Files.make
  const bytesOf = (file: string) => Effect.andThen(regular(file), Files.onFailure(file)(fs.readFile(file)))
  const bytes = yield* bytesOf(file)
  const { files: places } = yield* Effect.try({
    try: () => ExternalData.of(bytes),
    catch: (cause) =>
      new ModelInvalid({ problem: `it is no ONNX model (${cause instanceof Error ? cause.message : String(cause)})` })
  })
  const outside = places.find((place) => !isInside(place))
  if (outside !== undefined) {
    const problem = `it keeps numbers in "${outside}", which is not in its folder; save it with its data beside it`
    return yield* new ModelInvalid({ problem })
  }
  const files = yield* Effect.forEach(places, (place): Effect.Effect<ModelFile, Files.FileError> => {
    const beside = path.join(path.dirname(file), place)
    return Effect.map(bytesOf(beside), (data) => ({ path: place, data }))
  })
  const own = Files.sha256(bytes)
  const digest = files.length === 0
    ? own
    : Files.sha256([own, ...files.map(({ data, path: place }) => `${Files.sha256(data)} ${place}`)].join("\n"))
  return { bytes, files, digest }
})
