/** HTML templates. Every text is escaped, except markup made here. */

/** Markup, as opposed to text. */
export interface Html {
  readonly html: string
}

/** The values of a template. Text is escaped, markup is not, lists are joined, `undefined` is empty. */
export type Content = Html | string | number | undefined | ReadonlyArray<Content>

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;"
}

// Characters that HTML forbids, also as references: controls but white space, and halves of a pair.
const FORBIDDEN = /(?![\t\n\r])[\p{Cc}\p{Cs}]/gu

/** Escapes text for element content and for attribute values in double quotes. A character that HTML forbids becomes U+FFFD. */
export const escape = (text: string): string =>
  text.replace(FORBIDDEN, "\ufffd").replace(/[&<>"']/g, (character) => entities[character]!)

/** Marks a string as markup. */
export const raw = (markup: string): Html => ({ html: markup })

const print = (content: Content): string => {
  if (content === undefined) return ""
  if (typeof content === "string" || typeof content === "number") return escape(String(content))
  return "html" in content ? content.html : content.map(print).join("")
}

/** A template tag that makes markup. */
export const html = (strings: TemplateStringsArray, ...contents: ReadonlyArray<Content>): Html =>
  raw(strings.map((markup, i) => markup + print(contents[i])).join(""))

/** Formats a value as JSON for a `script` element. No text in it can end the element. */
export const json = (value: unknown): Html => raw(JSON.stringify(value).replaceAll("<", "\\u003c"))
