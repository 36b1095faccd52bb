/**
 * Prints the packages that an installation of patchword can bring, in the CycloneDX format: `npm run -s sbom`.
 *
 * npm's own `--omit=dev` leaves out packages that packages for developers use as well, such as `effect`. So npm reads a manifest and a
 * lock file without those for developers.
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const read = (name: string) => JSON.parse(readFileSync(join(root, name), "utf8"))

const temporary = mkdtempSync(join(tmpdir(), "patchword-sbom-"))
// npm names the whole after its folder.
const folder = join(temporary, "patchword")
try {
  mkdirSync(folder)
  const { devDependencies: _, ...manifest } = read("package.json")
  const { packages, ...lock } = read("package-lock.json")
  const shipped = Object.entries<{ readonly dev?: boolean }>(packages).filter(([, { dev }]) => dev !== true)
  const { devDependencies: __, ...own } = packages[""]
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest))
  writeFileSync(
    join(folder, "package-lock.json"),
    JSON.stringify({ ...lock, packages: { ...Object.fromEntries(shipped), "": own } })
  )
  const args = ["sbom", "--sbom-format=cyclonedx", "--package-lock-only"]
  const { status } = spawnSync("npm", args, { cwd: folder, stdio: "inherit", shell: process.platform === "win32" })
  process.exitCode = status ?? 1
} finally {
  rmSync(temporary, { recursive: true, force: true })
}
