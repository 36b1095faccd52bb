/**
 * The guides and the API reference as a static site: `npm run docs` writes `site/index.html`. `-- --check` writes nothing, and
 * fails where a public symbol has no docstring or a link leads nowhere.
 *
 * TypeDoc reads TypeScript up to version 6, so it reads the declarations that the project's own TypeScript emits. It comes from
 * the npm registry with a lockfile of its own, since it brings a second TypeScript.
 */
import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const check = process.argv.includes("--check")
const tool = `${root}node_modules/.cache/patchword/typedoc/`
const stage = mkdtempSync(`${tmpdir()}/patchword-docs-`) + "/"
process.on("exit", () => rmSync(stage, { recursive: true, force: true }))

const run = (command: string, args: ReadonlyArray<string>, cwd: string) => {
  const { status } = spawnSync(command, args, { cwd, stdio: ["ignore", process.stderr, "inherit"] })
  if (status !== 0) {
    process.stderr.write(`THE DOCUMENTATION WAS NOT BUILT: ${command} ${args[0]} failed.\n`)
    process.exit(1)
  }
}

/** Has TypeDoc take the comment at the head of a file for the description of its module. */
const describe = (file: string, text: string): string => {
  const name = /^(\w+)\/index\.d\.ts$/.exec(file)?.[1]
  return text.replace(
    /^(\/\*\*[^]*?)\*\/(?=\s*(?:\/\*\*|import |export \*))/,
    (_, comment: string) => `${comment.trimEnd()}\n * @module${name === undefined ? "" : ` patchword/${name}`}\n */`
  )
}

/** Gives a page the title of its first heading. */
const title = (text: string): string => `---\ntitle: ${JSON.stringify(/^# (.*)$/m.exec(text)?.[1])}\n---\n${text}`

mkdirSync(tool, { recursive: true })
for (const name of ["package.json", "package-lock.json"]) cpSync(`${root}scripts/docs/${name}`, `${tool}${name}`)
run("npm", ["ci", "--ignore-scripts", "--prefer-offline"], tool)

symlinkSync(`${root}node_modules`, `${stage}node_modules`)
for (const name of ["tsconfig.json", "typedoc.json"]) cpSync(`${root}scripts/docs/${name}`, `${stage}${name}`)
for (const name of ["docs", "examples", "README.md", "LICENSE", "LICENSES-ART.md"]) {
  cpSync(`${root}${name}`, `${stage}${name}`, { recursive: true })
}
const pages = ["CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]
for (
  const name of pages.concat(
    readdirSync(`${root}docs`).filter((page) => page.endsWith(".md")).map((page) => `docs/${page}`)
  )
) {
  writeFileSync(`${stage}${name}`, title(readFileSync(`${root}${name}`, "utf8")))
}
run("tsc", ["-p", `${root}tsconfig.build.json`, "--emitDeclarationOnly", "--outDir", `${stage}src`], root)
const emitted = readdirSync(`${stage}src`, { recursive: true, encoding: "utf8" })
for (const name of emitted.filter((file) => file.endsWith(".d.ts"))) {
  writeFileSync(`${stage}src/${name}`, describe(name, readFileSync(`${stage}src/${name}`, "utf8")))
}
run("node", [`${tool}node_modules/typedoc/bin/typedoc`, ...(check ? ["--emit", "none"] : [])], stage)
if (!check) {
  rmSync(`${root}site`, { recursive: true, force: true })
  cpSync(`${stage}site`, `${root}site`, { recursive: true })
  process.stdout.write("site/index.html\n")
}
