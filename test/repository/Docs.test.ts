import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { root } from "./rules.ts"

const pages = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`)
]

const read = (page: string): string => readFileSync(join(root, page), "utf8")
const prose = (text: string): string => text.replaceAll(/^```[^]*?^```/gm, "")

const anchors = (text: string): ReadonlyArray<string> =>
  [...prose(text).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!.toLowerCase().replaceAll(/[^\p{L}\p{N}\- _]/gu, "").replaceAll(" ", "-")
  )

const deadLinks = (page: string, text: string): ReadonlyArray<string> =>
  [...prose(text).matchAll(/\]\((?!\w+:)([^()\s]*)\)/g)].flatMap(([, link]) => {
    const [path, anchor] = link!.split("#")
    const target = path === "" ? page : join(dirname(page), path!)
    if (!existsSync(join(root, target))) return [`${page}: ${link}`]
    return anchor === undefined || anchors(target === page ? text : read(target)).includes(anchor)
      ? []
      : [`${page}: ${link}`]
  })

describe("pages", () => {
  it("link to files and headings that exist", () => {
    assert.deepStrictEqual(pages.flatMap((page) => deadLinks(page, read(page))), [])
  })

  it("are seen when a link leads nowhere", () => {
    const text = "# A (b) c\n[x](README.md) [y](nowhere.md) [z](#a-b-c) [w](#gone) [v](https://example.org)"
    assert.deepStrictEqual(deadLinks("README.md", text), ["README.md: nowhere.md", "README.md: #gone"])
  })

  it("stand in the index of guides", () => {
    const index = read("docs/README.md")
    const guides = pages.filter((page) => page.startsWith("docs/") && page !== "docs/README.md")
    assert.deepStrictEqual(guides.filter((page) => !index.includes(`](${page.slice("docs/".length)})`)), [])
  })
})
