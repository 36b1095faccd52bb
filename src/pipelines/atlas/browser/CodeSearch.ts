/**
 * Searches and sorts the list of codes in the browser, and shows the rows near the part in view alone. Without this script there are pages of
 * rows, most frequent codes first.
 */
import type { CodeListData, Item, Source } from "../views/CodeListData.ts"
import * as CodeRow from "../views/CodeRow.ts"
import * as VirtualList from "./VirtualList.ts"

type Order = "count" | "rare" | "code" | "bits"

const BY: Readonly<Record<Order, (a: Item, b: Item) => number>> = {
  count: (a, b) => b[1] - a[1] || a[0] - b[0],
  rare: (a, b) => a[1] - b[1] || a[0] - b[0],
  code: (a, b) => a[0] - b[0],
  bits: (a, b) => b[6] - a[6] || a[0] - b[0]
}

const isOrder = (name: string): name is Order => Object.hasOwn(BY, name)

const COLUMN = 464
const GAPS = [40, 10] as const

const attach = (form: HTMLFormElement, list: HTMLElement, source: Source, data: CodeListData): void => {
  const words = form.elements.namedItem("words")
  const order = form.elements.namedItem("order")
  const output = form.querySelector("output")
  if (!(words instanceof HTMLInputElement) || !(order instanceof HTMLSelectElement) || output === null) return
  const names = data.names.map((name) => name.toLowerCase())
  let shown: ReadonlyArray<Item> = data.codes

  /** Tests whether a code has a text: as its number for digits, else as a part of the name of a class. */
  const matches = ([code, , , , , , , ...classes]: Item, text: string): boolean =>
    /^\d+$/.test(text)
      ? String(code) === text || classes.some((one) => names[one]!.split(" ").includes(text))
      : classes.some((one) => names[one]!.includes(text))

  const pictureOf = (index: number): string => {
    const first = index - index % CodeRow.BLOCK
    const codes = shown.slice(first, first + CodeRow.BLOCK).map(([code]) => code).join("-")
    return `url("${source.strips.replace("{codes}", codes)}")`
  }

  const render = (index: number): HTMLElement => {
    const [code, count, red, green, blue, drawn] = shown[index]!
    const row = {
      code,
      count,
      share: count / data.patches,
      colour: [red, green, blue] as const,
      drawn: Math.abs(drawn),
      isLost: drawn < 0
    }
    const address = source.code.replace("{code}", String(code))
    return VirtualList.element(CodeRow.render(row, index % CodeRow.BLOCK, data, address))
  }

  const fill = (item: HTMLElement, index: number): void => item.style.setProperty("--picture", pictureOf(index))

  const refresh = VirtualList.attach(list, { column: COLUMN, gaps: GAPS, count: () => shown.length, render, fill })
  const search = (): void => {
    const text = words.value.trim().toLowerCase()
    const by = isOrder(order.value) ? BY[order.value] : BY.count
    shown = data.codes.filter((code) => text === "" || matches(code, text)).toSorted(by)
    output.textContent = text === "" ? "" : `${shown.length} of ${data.codes.length} codes`
    refresh()
  }
  form.addEventListener("submit", (event) => event.preventDefault())
  words.addEventListener("input", search)
  order.addEventListener("change", search)
  form.hidden = false
  search()
}

const start = async (form: HTMLFormElement, pages: HTMLElement): Promise<void> => {
  const source: Source = JSON.parse(pages.dataset["codes"]!)
  const answer = await fetch(source.data)
  if (!answer.ok) return
  const data: CodeListData = await answer.json()
  const list = document.createElement("ol")
  list.className = "atlas"
  pages.replaceChildren(list)
  attach(form, list, source, data)
}

const form = document.querySelector<HTMLFormElement>("[data-search-codes]")
const pages = document.querySelector<HTMLElement>("[data-codes]")
if (form !== null && pages !== null) void start(form, pages)
