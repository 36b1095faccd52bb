/** Searches and sorts the list of codes in the browser. Without this script the list is whole, most frequent codes first. */

type Order = "count" | "rare" | "code" | "bits"

const numberOf = (row: HTMLElement, name: "code" | "count" | "bits"): number => Number(row.dataset[name] ?? 0)

const BY: Readonly<Record<Order, (a: HTMLElement, b: HTMLElement) => number>> = {
  count: (a, b) => numberOf(b, "count") - numberOf(a, "count") || numberOf(a, "code") - numberOf(b, "code"),
  rare: (a, b) => numberOf(a, "count") - numberOf(b, "count") || numberOf(a, "code") - numberOf(b, "code"),
  code: (a, b) => numberOf(a, "code") - numberOf(b, "code"),
  bits: (a, b) => numberOf(b, "bits") - numberOf(a, "bits") || numberOf(a, "code") - numberOf(b, "code")
}

const isOrder = (name: string): name is Order => Object.hasOwn(BY, name)

/** Tests whether a row has a text: a whole word for digits, as numbers of codes are, else a part of its words. */
const matches = ({ dataset: { words = "" } }: HTMLElement, text: string): boolean =>
  /^\d+$/.test(text) ? words.split(" ").includes(text) : words.includes(text)

const attach = (form: HTMLFormElement, list: HTMLElement): void => {
  const rows = Array.from(list.children).filter((row) => row instanceof HTMLElement)
  const words = form.elements.namedItem("words")
  const order = form.elements.namedItem("order")
  const output = form.querySelector("output")
  if (!(words instanceof HTMLInputElement) || !(order instanceof HTMLSelectElement) || output === null) return
  const search = (): void => {
    const text = words.value.trim().toLowerCase()
    let shown = 0
    for (const row of rows) {
      row.hidden = text !== "" && !matches(row, text)
      if (!row.hidden) shown++
    }
    output.textContent = text === "" ? "" : `${shown} of ${rows.length} codes`
  }
  form.addEventListener("submit", (event) => event.preventDefault())
  words.addEventListener("input", search)
  order.addEventListener("change", () => {
    if (isOrder(order.value)) list.append(...rows.toSorted(BY[order.value]))
  })
  form.hidden = false
  search()
}

const form = document.querySelector<HTMLFormElement>("[data-search-codes]")
const list = document.querySelector<HTMLElement>("[data-codes]")
if (form !== null && list !== null) attach(form, list)
