/**
 * Follows the list of runs in the browser. Server-sent events bring the list as it is. Cells that stay the same stay in the page, so that
 * choices, the focus and a selection remain.
 */

const place = document.querySelector<HTMLElement>("[data-live=runs]")

const rowsOf = (root: ParentNode): ReadonlyArray<HTMLElement> => [...root.querySelectorAll<HTMLElement>("[data-run]")]

const idsOf = (rows: ReadonlyArray<HTMLElement>): string => JSON.stringify(rows.map(({ dataset }) => dataset["run"]))

/** Replaces the cells that differ. */
const renew = (row: HTMLElement, by: HTMLElement): void => {
  for (const [i, cell] of [...row.children].entries()) {
    const fresh = by.children[i]
    if (fresh !== undefined && cell.innerHTML !== fresh.innerHTML) cell.replaceChildren(...fresh.childNodes)
  }
}

const show = (list: HTMLElement, markup: string): void => {
  // All text in it is escaped by the template of the page.
  const fresh = document.createElement("template")
  fresh.innerHTML = markup
  const [rows, now] = [rowsOf(list), rowsOf(fresh.content)]
  if (rows.length > 0 && idsOf(rows) === idsOf(now)) return rows.forEach((row, i) => renew(row, now[i]!))
  const boxes = (): ReadonlyArray<HTMLInputElement> => [...list.querySelectorAll<HTMLInputElement>("input[name=run]")]
  const chosen = new Set(boxes().flatMap(({ checked, value }) => checked ? [value] : []))
  list.replaceChildren(fresh.content)
  for (const box of boxes()) box.checked = chosen.has(box.value)
}

const follow = (list: HTMLElement, events: string): void => {
  const connection = document.querySelector("[data-live=connection]")
  const say = (text: string): void => {
    if (connection !== null && connection.textContent !== text) connection.textContent = text
  }
  const source = new EventSource(events)
  source.addEventListener("open", () => say("connected"))
  source.addEventListener("error", () => say("connection lost, tries again"))
  source.addEventListener("runs", ({ data }: MessageEvent<string>) => show(list, JSON.parse(data)))
  addEventListener("pagehide", () => source.close())
}

const address = place?.dataset["events"]
if (place && address) follow(place, address)
