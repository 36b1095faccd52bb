/** Lists the files in a tar shard with the positions of their bytes. */
import { Effect } from "effect"
import { createReadStream } from "node:fs"
import { pipeline } from "node:stream/promises"
import * as Tar from "tar-stream"
import { EXTENSIONS } from "../reading/Decode.ts"
import { FileDamaged, FileTruncated } from "../reading/ImagesError.ts"

/** A file in a shard. `text` is its content if it can hold a label. */
export interface Member {
  readonly name: string
  readonly key: string
  readonly ending: string
  readonly offset: number
  readonly size: number
  readonly text: string
}

// The files of a sample have the same name up to the first dot of the last part. Hidden files belong to no sample.
const NAME = /^(?:\.\/)?((?:.*\/)?[^./]+)\.([^/]*)$/

const BLOCK = 512

/** Greatest size of a file that holds a label. Such files are read into memory. */
const LONGEST_TEXT = 2 ** 24

/** Extensions of files that can hold a label. */
export const TEXTS = ["cls", "json"]

const extracted = async (file: string, length: number, signal: AbortSignal): Promise<ReadonlyArray<Member>> => {
  const found: Array<Member> = []
  const extract = Tar.extract()
  extract.on("entry", ({ name, size, type }, content, next) => {
    // The pipeline reports this error.
    content.on("error", () => {})
    // The library gives null for a size that is no number, and then waits for its end for ever.
    if (!Number.isSafeInteger(size)) return next(new FileDamaged({ problem: `${name} has no size` }))
    const offset = content.offset + BLOCK
    const end = BLOCK * Math.ceil((offset + size) / BLOCK)
    if (end > length) return next(new FileTruncated({ expected: end, found: length }))
    const [, key, ends = ""] = NAME.exec(name) ?? []
    const ending = ends.toLowerCase()
    const isText = TEXTS.includes(ending)
    const isFile = type === "file" || type === "contiguous-file"
    if (isText && size > LONGEST_TEXT) {
      return next(new FileDamaged({ problem: `${name} has ${size} bytes, too many for a label` }))
    }
    if (type === "directory" && size > 0) {
      return next(
        new FileDamaged({ problem: `${name} is a folder with ${size} bytes of content, but folders have none` })
      )
    }
    if (key !== undefined && !isFile && type !== "directory" && (isText || EXTENSIONS.includes(ending))) {
      return next(
        new FileDamaged({ problem: `${name} is a ${type ?? "member of an unknown kind"}, not a regular file` })
      )
    }
    const chunks: Array<Uint8Array> = []
    content.on("data", (chunk) => {
      if (isText && chunk instanceof Uint8Array) chunks.push(chunk)
    })
    content.on("end", () => {
      if (key !== undefined && isFile) {
        const text = Buffer.concat(chunks).toString()
        found.push({ name, key, ending, offset, size, text })
      }
      next()
    })
  })
  await pipeline(createReadStream(file, { highWaterMark: 2 ** 20 }), extract, { signal })
  return found
}

/** Turns an error in reading a shard into `FileDamaged` or `FileTruncated`. */
export const damaged = (cause: unknown): FileDamaged | FileTruncated =>
  cause instanceof FileTruncated || cause instanceof FileDamaged
    ? cause
    : new FileDamaged({ problem: cause instanceof Error ? cause.message : String(cause) })

/**
 * Lists the files of a shard of `length` bytes. Fails with `FileTruncated` if it is cut off, and with `FileDamaged` if it
 * is not a tar file.
 */
export const members = (file: string, length: number) =>
  Effect.tryPromise({ try: (signal) => extracted(file, length, signal), catch: damaged })
