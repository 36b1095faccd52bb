/**
 * Tags and notes of people on a run, in `notes.jsonl` of its folder. Every change is a line that is appended at once. So several
 * people and programs can write at the same time, also while the run trains, and nothing is lost. Nothing else of the run changes:
 * it resumes as before.
 *
 * ```ts
 * import assert from "node:assert"
 * import * as NodeServices from "@effect/platform-node/NodeServices"
 * import { Effect, FileSystem } from "effect"
 * import { Notes } from "patchword/layers"
 *
 * const program = Effect.gen(function*() {
 *   const run = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
 *   yield* Notes.tag(run, ["good", "paper"])
 *   yield* Notes.untag(run, ["paper"])
 *   yield* Notes.add(run, "a larger codebook")
 *   const { notes, tags } = yield* Notes.read(run)
 *   assert.deepStrictEqual([tags, notes[0]?.text], [["good"], "a larger codebook"])
 * })
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
 * ```
 */
import { DateTime, Effect, type FileSystem, Option, type Path, Result, Runtime, Schema } from "effect"
import * as Json from "../../domain/values/Json.ts"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "../files/Files.ts"

/** Name of the file with tags and notes. */
export const FILE = "notes.jsonl"

/** A note of a person. */
export interface Note {
  /** A short text that names the note among those of the run. */
  readonly id: string
  /** The time at which it was written, as ISO 8601. */
  readonly at: string
  readonly text: string
}

/** The tags and notes of a run, in the order in which they were given. */
export interface Notes {
  readonly tags: ReadonlyArray<string>
  readonly notes: ReadonlyArray<Note>
  /** The lines that cannot be read, from 1. */
  readonly damaged: ReadonlyArray<number>
}

const At = { at: Schema.String }

/** A line of the file. */
const Line = Schema.Union([
  Schema.Struct({ ...At, tag: Schema.String }),
  Schema.Struct({ ...At, untag: Schema.String }),
  Schema.Struct({ ...At, note: Schema.String, id: Schema.String }),
  Schema.Struct({ ...At, forget: Schema.String })
])
type Line = typeof Line.Type

const decode = Schema.decodeUnknownOption(Line)

const LONGEST_TAG = 64
const LONGEST_NOTE = 10_000

/** A tag cannot be written so. */
export class TagInvalid extends TaggedError<TagInvalid>()("TagInvalid", { tag: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 64
  get finding() {
    return `"${this.tag}" is no tag`
  }
  get remedy() {
    return `write letters, digits, _, -, . or :, at most ${LONGEST_TAG} of them, the first one a letter or a digit`
  }
}

/** A note cannot be kept. */
export class NoteInvalid extends TaggedError<NoteInvalid>()("NoteInvalid", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 64
  get finding() {
    return `the note ${this.problem}`
  }
  get remedy() {
    return `write a text of 1 to ${LONGEST_NOTE} characters`
  }
}

/** There is no such tag or note. */
export class NoteMissing extends TaggedError<NoteMissing>()("NoteMissing", {
  asked: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return `there is no "${this.asked}" among them`
  }
  get remedy() {
    return this.known.length === 0 ? "leave it: the run has none" : `choose from ${this.known.join(", ")}`
  }
}

/** Tags or notes cannot be written or read. The exit code is that of the reason. */
export class NotesError extends TaggedError<NotesError>()("NotesError", {
  file: Schema.String,
  reason: Schema.Union([TagInvalid, NoteInvalid, NoteMissing, Files.FileError])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    return this.reason._tag === "FileError" ? this.reason.finding : `${this.file}: ${this.reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}

/** Removes what could change a terminal. The file may be from elsewhere. */
// oxlint-disable-next-line no-control-regex
const plain = (text: string): string => text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\ufffd")

const TAG = /^[\p{L}\p{N}][\p{L}\p{N}_.:-]*$/u

const fold = (text: string): Notes => {
  const tags = new Set<string>()
  const notes = new Map<string, Note>()
  const damaged: Array<number> = []
  for (const [i, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue
    const known = Option.flatMap(Result.getSuccess(Json.parse(line)), decode)
    if (Option.isNone(known)) {
      damaged.push(i + 1)
      continue
    }
    const change = known.value
    if ("tag" in change) tags.add(plain(change.tag))
    else if ("untag" in change) tags.delete(plain(change.untag))
    else if ("note" in change) {
      notes.set(change.id, { id: plain(change.id), at: plain(change.at), text: plain(change.note) })
    } else notes.delete(change.forget)
  }
  return { tags: [...tags], notes: [...notes.values()], damaged }
}

type Io = FileSystem.FileSystem | Path.Path

const within = (file: string) => Effect.mapError((reason: NotesError["reason"]) => new NotesError({ file, reason }))

const place = Effect.fnUntraced(function*(run: string) {
  const files = yield* Files.make
  return { files, file: files.path.join(run, FILE) }
})

/** Reads the tags and notes of a run. Lines that cannot be read are left out, and counted. */
export const read = Effect.fn("patchword.Notes.read")(
  function*(run: string): Effect.fn.Return<Notes, Files.FileError, Io> {
    const { file, files } = yield* place(run)
    return fold(Option.getOrElse(yield* Files.ifThere(files.readText(file)), () => ""))
  }
)

const append = (files: Files.Files, file: string, lines: ReadonlyArray<Line>) =>
  lines.length === 0
    ? Effect.void
    : files.appendLines(file, lines.map((line) => JSON.stringify(line)))

const now = Effect.map(DateTime.now, DateTime.formatIso)

/** Checks that a text can be a tag. */
const checkTag = (tag: string) =>
  TAG.test(tag) && tag.length <= LONGEST_TAG ? Effect.void : Effect.fail(new TagInvalid({ tag }))

/** Adds tags to a run. Those that it has already stay. */
export const tag = Effect.fn("patchword.Notes.tag")(
  function*(run: string, tags: ReadonlyArray<string>): Effect.fn.Return<void, NotesError, Io> {
    const { file, files } = yield* place(run)
    yield* within(file)(Effect.forEach(tags, checkTag, { discard: true }))
    const known = yield* within(file)(read(run))
    const at = yield* now
    const fresh = tags.filter((one) => !known.tags.includes(one))
    yield* within(file)(append(files, file, fresh.map((one): Line => ({ at, tag: one }))))
  }
)

/** Removes tags of a run. Fails with `NoteMissing` if it has not all of them. */
export const untag = Effect.fn("patchword.Notes.untag")(
  function*(run: string, tags: ReadonlyArray<string>): Effect.fn.Return<void, NotesError, Io> {
    const { file, files } = yield* place(run)
    const known = yield* within(file)(read(run))
    const strange = tags.find((one) => !known.tags.includes(one))
    if (strange !== undefined) {
      return yield* within(file)(Effect.fail(new NoteMissing({ asked: strange, known: known.tags })))
    }
    const at = yield* now
    yield* within(file)(append(files, file, tags.map((one): Line => ({ at, untag: one }))))
  }
)

/** Adds a note to a run, and returns it. Fails with `NoteInvalid` if it is empty or too long. */
export const add = Effect.fn("patchword.Notes.add")(
  function*(run: string, text: string): Effect.fn.Return<Note, NotesError, Io> {
    const { file, files } = yield* place(run)
    const problem = text.trim() === ""
      ? "is empty"
      : text.length > LONGEST_NOTE
      ? `has ${text.length} characters`
      : undefined
    if (problem !== undefined) return yield* within(file)(Effect.fail(new NoteInvalid({ problem })))
    const at = yield* now
    const note = { id: Files.sha256(`${at} ${text}`).slice(0, 8), at, text: plain(text) }
    yield* within(file)(append(files, file, [{ at, note: note.text, id: note.id }]))
    return note
  }
)

/** Removes a note of a run. Fails with `NoteMissing` if it has no note of this id. */
export const forget = Effect.fn("patchword.Notes.forget")(
  function*(run: string, id: string): Effect.fn.Return<void, NotesError, Io> {
    const { file, files } = yield* place(run)
    const known = yield* within(file)(read(run))
    if (known.notes.every((note) => note.id !== id)) {
      return yield* within(file)(Effect.fail(new NoteMissing({ asked: id, known: known.notes.map((note) => note.id) })))
    }
    yield* within(file)(append(files, file, [{ at: yield* now, forget: id }]))
  }
)
