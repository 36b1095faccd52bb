/** Helpers that make valid inputs. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, type FileSystem, type Path } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import sharp from "sharp"
import type { Content, Files } from "../Case.ts"

const TEXT = /\.(?:json|jsonl|yaml|txt|html|md)$/

/** Runs what writes a folder, and returns its files. */
export const written = async (
  write: (folder: string) => Effect.Effect<unknown, unknown, FileSystem.FileSystem | Path.Path>
): Promise<Files> => {
  const folder = mkdtempSync(join(tmpdir(), "patchword-seed-"))
  try {
    await Effect.runPromise(Effect.provide(write(folder), NodeServices.layer))
    const found: Record<string, Content> = {}
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const file = join(entry.parentPath, entry.name)
      found[relative(folder, file)] = TEXT.test(entry.name) ? readFileSync(file, "utf8") : readFileSync(file)
    }
    return found
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A picture of noise-free colours. */
export const picture = (side = 8, seed = 3) =>
  sharp(Uint8Array.from({ length: side * side * 3 }, (_, i) => (i * seed) % 251), {
    raw: { width: side, height: side, channels: 3 }
  })

export const png = (side = 8, seed = 3): Promise<Buffer> => picture(side, seed).png().toBuffer()

/** Returns the text of a file of a case. */
export const textOf = (content: Content | undefined): string | undefined =>
  typeof content === "string" ? content : content instanceof Uint8Array ? Buffer.from(content).toString() : undefined

/** Returns the bytes of a file of a case. */
export const bytesOf = (content: Content | undefined): Uint8Array | undefined =>
  typeof content === "string" ? Buffer.from(content) : content instanceof Uint8Array ? content : undefined
