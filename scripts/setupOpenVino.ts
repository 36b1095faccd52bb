/**
 * `npm run setup:openvino`: puts OpenVINO into this checkout, for `Engine.layerOpenVino`. Its wheel is fetched from PyPI (up
 * to 85 MB) and the libraries that run ONNX models on a processor are unpacked into `node_modules/.cache/openvino`, where
 * the engine looks first. The next `npm ci` takes them out again.
 */
import { BlobReader, Uint8ArrayWriter, ZipReader } from "@zip.js/zip.js"
import { Console, Effect } from "effect"
import { existsSync, globSync, mkdirSync, openAsBlob, renameSync, rmSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { fail, main, online, pip, root, run, SetupError, temporary, timed } from "./setup.ts"

const VERSION = "2026.4.1"
/** Of the wheels for Python 3.12, whose libraries are those of every other. */
const WHEELS: Readonly<Record<string, string>> = {
  "linux-x64": "6b4375c17ddcac83a5180349e2e2bb811185c261066e2a920659892d58ef0e3b",
  "linux-arm64": "82efccb2f9f1bdc7e5a1996e05a3b719ebff9232dd54b44150d6d2e983a86b7d",
  "darwin-arm64": "726ac547b8474a5e7b145bc1ae5a8bb6fbcbb60b79bd9a611c67eec2c74b7a5f",
  "win32-x64": "4e04316abff1b99e29b8cbd38deaef9bde4739eba216d982d4b3981e456ecd87"
}
/** Libraries of the wheel without which no ONNX model runs on a processor; licences go with them. */
const NEEDED =
  /^openvino\/libs\/(?:lib)?(?:openvino(?:_c|_onnx_frontend|_(?:intel|arm)_cpu_plugin)?|tbb\w*|hwloc)[\d.]*\.(?:so|dylib|dll)[\d.]*$|\/licenses\//

const home = join(root, "node_modules/.cache/openvino")
const mark = join(home, VERSION)

const unpack = (wheel: string) =>
  Effect.tryPromise({
    try: async () => {
      const archive = new ZipReader(new BlobReader(await openAsBlob(wheel)), { useWebWorkers: false })
      const fresh = `${home}.new`
      rmSync(fresh, { recursive: true, force: true })
      mkdirSync(fresh, { recursive: true })
      for (const entry of await archive.getEntries()) {
        if (entry.directory || !NEEDED.test(entry.filename)) continue
        const bytes = await entry.getData(new Uint8ArrayWriter(), { checkSignature: true })
        writeFileSync(join(fresh, basename(entry.filename)), bytes)
      }
      await archive.close()
      writeFileSync(join(fresh, VERSION), "")
      rmSync(home, { recursive: true, force: true })
      renameSync(fresh, home)
    },
    catch: (cause) =>
      new SetupError({
        step: "unpacking",
        detail: String(cause),
        remedy: "free 200 MB here and run it again",
        code: 74
      })
  })

const program = Effect.gen(function*() {
  if (existsSync(mark)) return yield* Console.log(`OpenVINO ${VERSION}: already here`)
  const platform = `${process.platform}-${process.arch}`
  const digest = WHEELS[platform]
  if (digest === undefined) {
    const remedy = `use one of ${
      Object.keys(WHEELS).join(", ")
    }, or name a folder with OpenVINO's libraries to the engine`
    return yield* fail("wheel", `OpenVINO ${VERSION} has no wheel for ${platform}`, remedy)
  }
  const folder = yield* temporary
  const list = join(folder, "requirements.txt")
  writeFileSync(list, `openvino==${VERSION} --hash=sha256:${digest}\n`)
  const which = [
    "--no-deps",
    "--only-binary=:all:",
    "--python-version",
    "3.12",
    "--require-hashes",
    "--requirement",
    list
  ]
  yield* timed(
    `fetching openvino ${VERSION} from PyPI`,
    run("wheel", online, [...pip, "download", ...which, "--dest", folder])
  )
  const [wheel] = globSync("*.whl", { cwd: folder })
  yield* timed("unpacking its libraries", unpack(join(folder, wheel!)))
  yield* Console.log(`OpenVINO ${VERSION}: in ${home}`)
})

await main("OpenVINO", Effect.scoped(program))
