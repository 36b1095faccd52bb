/** Python with packages from PyPI, in a virtual environment outside of the repository that is kept for the next time. */
import { spawnSync } from "node:child_process"
import { existsSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Runs a command, whose output goes to standard error; ends this process with 69 when it fails. */
export const succeed = (command: string, ...args: ReadonlyArray<string>): void => {
  const { status } = spawnSync(command, args, { stdio: ["ignore", 2, 2] })
  if (status !== 0) {
    process.stderr.write(`${command} ${args.join(" ")} failed\n`)
    process.exit(69)
  }
}

const PACKAGES = ["torch==2.15.0", "timm==1.0.31", "transformers==5.23.0"]

const folderOf = (packages: ReadonlyArray<string>): string =>
  join(tmpdir(), `patchword-python-${packages.join("-").replaceAll(/[^\w.-]/g, "")}`)

/** The interpreter of an environment in a folder. */
export const pythonOf = (folder: string): string =>
  join(folder, process.platform === "win32" ? "Scripts/python.exe" : "bin/python")

/** The interpreter of `environment`. It need not be there. */
export const PYTHON = pythonOf(folderOf(PACKAGES))

/**
 * The interpreter of an environment with these packages, which is made when there is none; PyTorch, timm and transformers. Those
 * of `alone` are installed without what they ask for. They are in a folder for temporary files by default.
 */
export const environment = (
  packages: ReadonlyArray<string> = PACKAGES,
  alone: ReadonlyArray<string> = [],
  folder: string = folderOf([...packages, ...alone])
): string => {
  const python = pythonOf(folder)
  if (!existsSync(join(folder, "complete"))) {
    rmSync(folder, { recursive: true, force: true })
    succeed("python3", "-m", "venv", folder)
    succeed(python, "-m", "pip", "install", "--quiet", ...packages)
    if (alone.length > 0) succeed(python, "-m", "pip", "install", "--quiet", "--no-deps", ...alone)
    writeFileSync(join(folder, "complete"), "")
  }
  return python
}
