/** HTML in which every text is escaped unless it was made here. */

/** Markup, as opposed to text. */
export interface Html {
  readonly html: string
}

/** What a template takes: text is escaped, markup is not, lists are joined, `undefined` is nothing. */
export type Content = Html | string | number | undefined | ReadonlyArray<Content>

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;"
}

/** Escapes for element content and for attribute values in double quotes. */
export const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character]!)

/** Takes a string for markup. */
export const raw = (markup: string): Html => ({ html: markup })

const print = (content: Content): string => {
  if (content === undefined) return ""
  if (typeof content === "string" || typeof content === "number") return escape(String(content))
  return "html" in content ? content.html : content.map(print).join("")
}

/** A template of markup. */
export const html = (strings: TemplateStringsArray, ...contents: ReadonlyArray<Content>): Html =>
  raw(strings.map((markup, i) => markup + print(contents[i])).join(""))

/** A value as JSON that may stand in a `script` element: no text of it can end the element. */
export const json = (value: unknown): Html => raw(JSON.stringify(value).replaceAll("<", "\\u003c"))
