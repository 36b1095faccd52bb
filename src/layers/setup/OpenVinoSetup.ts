/**
 * Installs OpenVINO for `Engine.layerOpenVino`. It fetches OpenVINO's wheel from PyPI with pip (up to 85 MB), whose SHA-256 is known
 * here, and unpacks the libraries that run ONNX models on a processor.
 */
import { Effect } from "effect"
import * as OpenVino from "../engine/OpenVino.ts"
import * as Files from "../files/Files.ts"
import * as SetupCommand from "./SetupCommand.ts"
import { SetupError } from "./SetupError.ts"
import * as Wheels from "./Wheels.ts"

/** The wheels for Python 3.12. Their libraries are those of every other wheel. */
const WHEELS: Readonly<Record<string, Pick<Wheels.Wheel, "sha256" | "megabytes">>> = {
  "linux-x64": { megabytes: 59, sha256: "6b4375c17ddcac83a5180349e2e2bb811185c261066e2a920659892d58ef0e3b" },
  "linux-arm64": { megabytes: 30, sha256: "82efccb2f9f1bdc7e5a1996e05a3b719ebff9232dd54b44150d6d2e983a86b7d" },
  "darwin-arm64": { megabytes: 33, sha256: "726ac547b8474a5e7b145bc1ae5a8bb6fbcbb60b79bd9a611c67eec2c74b7a5f" },
  "win32-x64": { megabytes: 85, sha256: "4e04316abff1b99e29b8cbd38deaef9bde4739eba216d982d4b3981e456ecd87" }
}

/** Libraries of the wheel that an ONNX model on a processor needs, and the licences. */
const NEEDED =
  /^openvino\/libs\/(?:lib)?(?:openvino(?:_c|_onnx_frontend|_(?:intel|arm)_cpu_plugin)?|tbb\w*|hwloc)[\d.]*\.(?:so|dylib|dll)[\d.]*$|\/licenses\//

/**
 * Puts OpenVINO into the user's cache folder, where the engine looks first. Does nothing where it is there already. Fails with
 * `SetupError` where no wheel fits the machine or pip cannot fetch it, and with `FileError` where the folder cannot be written.
 */
export const install = Effect.fn("patchword.setup.openvino")(function*(report: SetupCommand.Report) {
  const files = yield* Files.make
  const folder = yield* OpenVino.cached
  const found = { library: "openvino", version: OpenVino.VERSION, folder }
  if (yield* Effect.orElseSucceed(files.fs.exists(folder), () => false)) return { ...found, fetched: false }
  const platform = `${process.platform}-${process.arch}`
  const wheel = WHEELS[platform]
  if (wheel === undefined) {
    const remedy = `use one of ${
      Object.keys(WHEELS).join(", ")
    }, or name a folder with OpenVINO's libraries to the engine`
    return yield* new SetupError({ part: "wheel", detail: `OpenVINO has no wheel for ${platform}`, remedy })
  }
  const temporary = yield* SetupCommand.workspace
  const openvino = { name: "openvino", version: OpenVino.VERSION, ...wheel }
  const [file] = yield* Wheels.fetch(temporary, "3.12", [openvino], report)
  const libraries = yield* Wheels.unpacked(file!, (name) => NEEDED.test(name) ? name.split("/").at(-1) : undefined)
  yield* files.writeFolder(
    folder,
    (fresh) =>
      Effect.forEach(libraries, ([name, bytes]) => files.writeParts(files.path.join(fresh, name), [bytes]), {
        discard: true
      })
  )
  return { ...found, fetched: true }
}, Effect.scoped)
