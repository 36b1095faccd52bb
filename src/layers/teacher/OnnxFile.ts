/** Reads ONNX models together with their external data. */
import { Effect } from "effect"
import * as ExternalData from "../../compiler/onnx/ExternalData.ts"
import type { ModelFile } from "../engine/Engine.ts"
import * as Files from "../files/Files.ts"
import { ModelInvalid } from "./TeacherError.ts"

/** Tests whether a path is relative and stays inside its folder, by the rules of every operating system. */
export const isInside = (place: string): boolean =>
  place !== "" && !/^[/\\]|^[A-Za-z]:|\\/.test(place) && !place.split("/").includes("..")

/** Reads a model and its other files, and computes a SHA-256 of all of them. */
export const read = Effect.fnUntraced(function*(file: string) {
  const { fs, path, regular } = yield* Files.make
  const bytesOf = (file: string) => Effect.andThen(regular(file), Files.onFailure(file)(fs.readFile(file)))
  const bytes = yield* bytesOf(file)
  const { files: places } = yield* Effect.try({
    try: () => ExternalData.of(bytes),
    catch: (cause) =>
      new ModelInvalid({
        problem: `it is not an ONNX model (${cause instanceof Error ? cause.message : String(cause)})`,
        remedy: "name another file, or copy it again"
      })
  })
  const outside = places.find((place) => !isInside(place))
  if (outside !== undefined) {
    const problem = `it keeps weights in "${outside}", which is outside of its folder`
    return yield* new ModelInvalid({ problem, remedy: "save its data in the same folder" })
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
