/** Changes that a reader makes on a page: tags and notes of a run. Nothing else of a run is changed. */
import { ByteSize, Effect, type FileSystem, type Path } from "effect"
import { HttpIncomingMessage, type HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Notes from "../../layers/run/Notes.ts"
import * as Answers from "./Answers.ts"

type Io = FileSystem.FileSystem | Path.Path

// A note has 10000 characters at most, and each of them nine in a form.
const LARGEST = ByteSize.kilobytes(100)

const changed = (
  run: string,
  [name, text]: readonly [string, string]
): Effect.Effect<unknown, Notes.NotesError, Io> | undefined => {
  switch (name) {
    case "tag":
      return Notes.tag(run, [text.trim()])
    case "untag":
      return Notes.untag(run, [text])
    case "note":
      return Notes.add(run, text)
    case "forget":
      return Notes.forget(run, text)
    default:
      return undefined
  }
}

/** Takes the one field of a form, changes the run, and sends the reader back to `page`. */
export const answer = (
  request: HttpServerRequest.HttpServerRequest,
  run: string,
  page: string
): Effect.Effect<HttpServerResponse.HttpServerResponse, Notes.NotesError, Io> =>
  request.text.pipe(
    Effect.provideService(HttpIncomingMessage.MaxBodySize, LARGEST),
    // What is too large or breaks off has no field.
    Effect.orElseSucceed(() => ""),
    Effect.flatMap((text) => {
      const [field, ...others] = new URLSearchParams(text)
      const change = field === undefined || others.length > 0 ? undefined : changed(run, field)
      return change === undefined
        ? Effect.succeed(
          Answers.sentence("A change has one field: tag, untag, note or forget. It has at most 100 kB.", 400)
        )
        : Effect.as(change, HttpServerResponse.empty({ status: 303, headers: { location: page } }))
    })
  )
