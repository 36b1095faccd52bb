/** Shows a long list: only the items near the part in view are in the page. */

/** A list. */
export interface Shown {
  /** The least width of a column, in CSS pixels. */
  readonly column: number
  /** The space between columns and between rows, in CSS pixels. */
  readonly gaps: readonly [columns: number, rows: number]
  /** The number of items now. */
  readonly count: () => number
  readonly render: (index: number) => HTMLElement
  /** Gives an item its picture. Of the items that one passes quickly, nothing is loaded. */
  readonly fill: (item: HTMLElement, index: number) => void
}

// One passes items quickly that leave the window again within so many milliseconds.
const GLANCE = 200

/** Makes the one element of some markup. */
export const element = ({ html }: { readonly html: string }): HTMLElement => {
  const template = document.createElement("template")
  template.innerHTML = html
  return template.content.firstElementChild as HTMLElement
}

const indexOf = (item: Element): number => Number(item.getAttribute("aria-posinset")) - 1

/** Fills an empty list. The function that it returns draws it anew, after its items have changed. */
export const attach = (list: HTMLElement, { column, count, fill, gaps: [across, down], render }: Shown): () => void => {
  let [columns, width, height] = [1, 0, 0]
  let isWaiting = false
  let [top, then] = [0, -Infinity]
  const unfilled = new Map<HTMLElement, number>()

  const made = (index: number, total: number): HTMLElement => {
    const item = render(index)
    item.setAttribute("aria-posinset", String(index + 1))
    item.setAttribute("aria-setsize", String(total))
    item.style.position = "absolute"
    item.style.width = `${width}px`
    item.style.transform = `translate(${(index % columns) * (width + across)}px, ${
      Math.floor(index / columns) * (height + down)
    }px)`
    return item
  }

  const fillAll = (): void => {
    for (const [item, index] of unfilled) fill(item, index)
    unfilled.clear()
  }

  const draw = (): void => {
    const total = count()
    const rows = Math.ceil(total / columns)
    top = -list.getBoundingClientRect().top
    const row = (y: number): number => Math.max(0, Math.min(rows, Math.floor(y / (height + down))))
    const [first, end] = [columns * row(top - innerHeight), Math.min(total, columns * (1 + row(top + 2 * innerHeight)))]
    const known = new Set<number>()
    for (const item of list.querySelectorAll<HTMLElement>("[aria-posinset]")) {
      const index = indexOf(item)
      // An item with the focus stays, so that the keyboard goes on from it.
      if (index >= first && index < end || item.contains(document.activeElement)) known.add(index)
      else {
        item.remove()
        unfilled.delete(item)
      }
    }
    let next = list.firstElementChild
    for (let index = first; index < end; index++) {
      while (next !== null && indexOf(next) < index) next = next.nextElementSibling
      if (known.has(index)) continue
      const item = made(index, total)
      unfilled.set(item, index)
      list.insertBefore(item, next)
    }
  }

  /** Measures an item, and draws all of them. */
  const refresh = (): void => {
    const total = count()
    list.replaceChildren()
    unfilled.clear()
    columns = Math.max(1, Math.floor((list.clientWidth + across) / (column + across)))
    width = Math.max(0, (list.clientWidth + across) / columns - across)
    if (total > 0) {
      const probe = made(0, total)
      list.append(probe)
      height = probe.offsetHeight
      probe.remove()
    }
    list.style.height = `${Math.max(0, Math.ceil(total / columns) * (height + down) - down)}px`
    draw()
    fillAll()
  }

  const frame = (now: number): void => {
    isWaiting = false
    const before = top
    draw()
    const isQuick = Math.abs(top - before) * GLANCE > innerHeight * (now - then)
    then = now
    if (isQuick) wait()
    else fillAll()
  }

  const wait = (): void => {
    if (isWaiting) return
    isWaiting = true
    requestAnimationFrame(frame)
  }

  list.style.position = "relative"
  list.style.display = "block"
  addEventListener("scroll", wait, { passive: true })
  let seen = -1
  new ResizeObserver(() => {
    // Its height changes with its own items.
    if (seen !== list.clientWidth) refresh()
    seen = list.clientWidth
  }).observe(list)
  return refresh
}
