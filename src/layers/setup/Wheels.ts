/** Wheels of PyPI whose digests are known here. */
import { BlobReader, Uint8ArrayWriter, ZipReader } from "@zip.js/zip.js"
import { Effect } from "effect"
import { globSync, openAsBlob } from "node:fs"
import * as Files from "../files/Files.ts"
import * as SetupCommand from "./SetupCommand.ts"
import { SetupError } from "./SetupError.ts"

/** A wheel and the SHA-256 of its file. */
export interface Wheel {
  readonly name: string
  readonly version: string
  readonly sha256: string
  /** Size of the file, in 10⁶ bytes. */
  readonly megabytes: number
}

/** Size of all files, in 10⁶ bytes. */
export const megabytes = (wheels: ReadonlyArray<Wheel>): number =>
  wheels.reduce((sum, wheel) => sum + wheel.megabytes, 0)

/**
 * Fetches wheels into a folder, one after the other, and returns their files. pip checks the digests. A wheel that an earlier run
 * fetched whole is not fetched again. Fails with `SetupError`, and with `FileError`.
 */
export const fetch = Effect.fnUntraced(function*(
  folder: string,
  python: string,
  wheels: ReadonlyArray<Wheel>,
  report: SetupCommand.Report
) {
  const files = yield* Files.make
  const { join } = files.path
  yield* files.makeFolder(folder)
  return yield* Effect.forEach(wheels, ({ megabytes, name, sha256, version }) =>
    Effect.gen(function*() {
      const list = join(folder, "requirements.txt")
      yield* files.write(list, `${name}==${version} --hash=sha256:${sha256}\n`)
      yield* report(`fetching ${name} ${version} from PyPI (${megabytes} MB)`)
      yield* SetupCommand.run("wheel", SetupCommand.ONLINE, folder, [
        ...SetupCommand.PIP,
        "download",
        "--no-cache-dir",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version",
        python,
        "--require-hashes",
        "--requirement",
        list,
        "--dest",
        folder
      ])
      const [file = `${name}.whl`] = globSync(`${name.replaceAll("-", "_")}-${version}-*.whl`, { cwd: folder })
      return join(folder, file)
    }))
})

/** Tells what to do where wheels cannot be unpacked. */
export const ROOM = "free 8 GB here"

/** Unpacks wheels into a folder, as pip does. Fails with `SetupError`. */
export const install = (folder: string, files: ReadonlyArray<string>) =>
  SetupCommand.run("unpacking", ROOM, folder, [
    ...SetupCommand.PIP,
    "install",
    "--no-deps",
    "--no-compile",
    "--no-index",
    "--target",
    folder,
    ...files
  ])

/** Reads the files of a wheel to which `place` gives a place, by their places. Fails with `SetupError`. */
export const unpacked = (wheel: string, place: (name: string) => string | undefined) =>
  Effect.tryPromise({
    try: async () => {
      const archive = new ZipReader(new BlobReader(await openAsBlob(wheel)), { useWebWorkers: false })
      const found = new Map<string, Uint8Array>()
      for (const entry of await archive.getEntries()) {
        const target = entry.directory ? undefined : place(entry.filename)
        if (entry.directory || target === undefined) continue
        found.set(target, await entry.getData(new Uint8ArrayWriter(), { checkSignature: true }))
      }
      await archive.close()
      return found
    },
    catch: (cause) => new SetupError({ part: "unpacking", detail: String(cause), remedy: "run it again" })
  })
