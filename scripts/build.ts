/** Builds `dist`, or the folder that is named, from nothing. */
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const [out = join(root, "dist")] = process.argv.slice(2)

/**
 * In place of the declarations of TensorFlow.js, which do not type-check: they use a type that they do not import, and others that
 * browsers declare by now.
 */
const TENSORFLOW = `declare namespace tf {
    type Tensor = any;
    type DataType = string;
    type TensorInfo = { dataId: object; shape: number[]; dtype: DataType };
    type NamedTensorInfoMap = { [name: string]: TensorInfo | undefined };
    type NamedAttrMap = { [name: string]: any };
}`

rmSync(out, { recursive: true, force: true })
const compiler = join(root, "node_modules/typescript/bin/tsc")
// Several checkers infer the same types, each for itself: together they take twice the processor time of one.
const given = ["-p", join(root, "tsconfig.build.json"), "--singleThreaded", "--outDir", out]
const { status } = spawnSync(process.execPath, [compiler, ...given], { stdio: "inherit" })
if (status === 0) {
  for (const name of readdirSync(out, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".d.ts")) continue
    const text = readFileSync(join(out, name), "utf8")
    const rewritten = text.replace(/^import "@tensorflow\/.*\n/m, "")
      .replace(/^import (?:type )?\* as tf from "@tensorflow\/tfjs-core";$/m, TENSORFLOW)
    if (rewritten !== text) writeFileSync(join(out, name), rewritten)
  }
}
process.exit(status ?? 1)
