/** The script of the page part where one drops an own picture and sees its codes. It runs in browsers. */
import * as BrowserTokenizer from "./BrowserTokenizer.ts"

const find = <E extends Element>(root: ParentNode, part: string): E =>
  root.querySelector<E>(`[data-tokenize="${part}"]`)!

/** Returns the colour of a code. Neighbouring numbers get colours that are far apart. */
const colourOf = (code: number): string => {
  const bits = Math.imul(code + 1, 0x9e3779b1) >>> 0
  return `hsl(${bits % 360} ${45 + (bits >>> 9) % 40}% ${35 + (bits >>> 17) % 35}%)`
}

/** The side of a patch on the map of codes, in pixels of its canvas. */
const CELL = 32

/** The number of codes that are listed by name. */
const LISTED = 12

const start = (root: HTMLElement): void => {
  const settings: BrowserTokenizer.Settings = JSON.parse(find(root, "settings").textContent)
  const { grid, size } = settings
  const status = find<HTMLElement>(root, "status")
  const input = find<HTMLInputElement>(root, "file")
  const drop = find<HTMLElement>(root, "drop")
  const result = find<HTMLElement>(root, "result")
  const seen = find<HTMLCanvasElement>(root, "view")
  const map = find<HTMLCanvasElement>(root, "map")
  const readout = find<HTMLElement>(root, "readout")
  const list = find<HTMLElement>(root, "list")
  let opened: ReturnType<typeof BrowserTokenizer.open> | undefined
  let codes: BrowserTokenizer.Tokenized["codes"] = new Int32Array(0)
  let chosen = 0
  let turn = 0

  const paint = (): void => {
    const context = map.getContext("2d")!
    const [wide, high] = [map.width / grid.width, map.height / grid.height]
    codes.forEach((code, patch) => {
      const [left, top] = [(patch % grid.width) * wide, Math.floor(patch / grid.width) * high]
      context.fillStyle = colourOf(code)
      context.fillRect(left, top, wide, high)
      if (patch !== chosen) return
      context.lineWidth = 2
      context.strokeStyle = "#000"
      context.strokeRect(left + 1, top + 1, wide - 2, high - 2)
      context.strokeStyle = "#fff"
      context.strokeRect(left + 3, top + 3, wide - 6, high - 6)
    })
    const code = codes[chosen]!
    const times = codes.reduce((sum, other) => sum + (other === code ? 1 : 0), 0)
    const [row, column] = [Math.floor(chosen / grid.width) + 1, chosen % grid.width + 1]
    readout.textContent = `row ${row}, column ${column}: code ${code}, ${times} of ${codes.length} patches`
  }

  const choose = (patch: number): void => {
    chosen = patch
    paint()
    root.dispatchEvent(new CustomEvent("patchword-code", { bubbles: true, detail: { code: codes[patch] } }))
  }

  const show = ({ codes: found, differing, view }: BrowserTokenizer.Tokenized, name: string): void => {
    codes = found
    chosen = 0
    const image = new ImageData(size, size)
    for (let pixel = 0; pixel < size * size; pixel++) {
      image.data.set([...view.data.subarray(3 * pixel, 3 * pixel + 3), 255], 4 * pixel)
    }
    seen.width = size
    seen.height = size
    map.width = grid.width * CELL
    map.height = grid.height * CELL
    seen.getContext("2d")!.putImageData(image, 0, 0)
    const counts = new Map<number, number>()
    for (const code of codes) counts.set(code, (counts.get(code) ?? 0) + 1)
    const most = [...counts].toSorted(([a, m], [b, n]) => n - m || a - b)
    list.replaceChildren(
      ...most.slice(0, LISTED).map(([code, times]) => {
        const item = document.createElement("li")
        item.textContent = `code ${code}: ${times}`
        return item
      })
    )
    root.dataset.codes = codes.join(" ")
    result.hidden = false
    paint()
    status.textContent = `${name}: ${codes.length} patches, ${counts.size} different codes${
      counts.size > LISTED ? `, of which the ${LISTED} most frequent are listed` : ""
    }${differing === undefined ? "" : `. Careful: this is ${differing}. patchword encode can give other codes`}`
  }

  const tokenize = (file: File): void => {
    turn += 1
    const mine = turn
    status.textContent = opened === undefined ? "The tokenizer is loaded …" : `${file.name} is tokenized …`
    opened ??= BrowserTokenizer.open(settings)
    opened.then((run) => run(file)).then(
      (found) => {
        if (mine === turn) show(found, file.name)
      },
      (error: unknown) => {
        if (mine !== turn) return
        opened = undefined
        result.hidden = true
        status.textContent = `${file.name} cannot be tokenized: ${
          error instanceof Error ? error.message : String(error)
        }`
      }
    )
  }

  input.addEventListener("change", () => {
    const [file] = input.files ?? []
    if (file !== undefined) tokenize(file)
  })
  for (const kind of ["dragover", "dragleave", "drop"] as const) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault()
      drop.classList.toggle("over", kind === "dragover")
      const [file] = kind === "drop" ? event.dataTransfer?.files ?? [] : []
      if (file !== undefined) tokenize(file)
    })
  }
  map.addEventListener("click", ({ offsetX, offsetY }) => {
    const column = Math.min(grid.width - 1, Math.floor(offsetX / map.clientWidth * grid.width))
    const row = Math.min(grid.height - 1, Math.floor(offsetY / map.clientHeight * grid.height))
    choose(row * grid.width + column)
  })
  map.addEventListener("keydown", (event) => {
    const steps: Readonly<Record<string, number>> = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -grid.width,
      ArrowDown: grid.width
    }
    const next = chosen + (steps[event.key] ?? NaN)
    if (!(next >= 0 && next < codes.length)) return
    event.preventDefault()
    choose(next)
  })
  status.textContent = "No picture yet."
}

document.querySelectorAll<HTMLElement>("[data-tokenize=\"root\"]").forEach(start)
