/** Draws the map of codes on a canvas. The pointer and the arrow keys choose a code, and a click or Enter opens its page. */

/** A code: its place from 0 to 1, its share of all patches, and its colour. */
type Point = readonly [x: number, y: number, share: number, red: number, green: number, blue: number]

interface Told {
  readonly points: ReadonlyArray<Point>
  /** Addresses with `{code}` in the place of the number. Without pictures, that of a picture is empty. */
  readonly code: string
  readonly picture: string
}

const MARGIN = 16
const NEAR = 24

/** The directions of the arrow keys. */
const KEYS: Readonly<Record<string, readonly [x: number, y: number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1]
}

const attach = (canvas: HTMLCanvasElement, output: HTMLElement, { code, picture, points }: Told): void => {
  const context = canvas.getContext("2d")
  if (context === null) return
  const addressOf = (template: string, at: number) => template.replaceAll("{code}", String(at))
  // One file has some codes alone.
  const isThere = (address: string): boolean =>
    !address.startsWith("#") || document.getElementById(address.slice(1)) !== null
  const uniform = 1 / Math.max(1, points.length)
  let chosen = -1

  const place = ([x, y]: Point): readonly [x: number, y: number] => [
    MARGIN + x * (canvas.clientWidth - 2 * MARGIN),
    MARGIN + y * (canvas.clientHeight - 2 * MARGIN)
  ]
  const radius = (share: number): number => Math.max(2, Math.min(14, 4 * Math.sqrt(share / uniform)))

  const draw = (): void => {
    const scale = devicePixelRatio
    const [width, height] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)]
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height })
    const { color } = getComputedStyle(canvas)
    context.setTransform(scale, 0, 0, scale, 0, 0)
    context.clearRect(0, 0, width, height)
    for (const [at, point] of points.entries()) {
      const [, , share, red, green, blue] = point
      const [x, y] = place(point)
      context.beginPath()
      context.arc(x, y, share === 0 ? 1.5 : radius(share), 0, 2 * Math.PI)
      context.lineWidth = at === chosen ? 3 : 0.5
      context.strokeStyle = color
      context.fillStyle = `rgb(${red} ${green} ${blue})`
      if (share > 0) context.fill()
      context.stroke()
    }
  }

  const choose = (at: number): void => {
    if (at === chosen) return
    chosen = at
    output.textContent = ""
    const point = points[at]
    if (point !== undefined) {
      const address = addressOf(code, at)
      const link = document.createElement(isThere(address) ? "a" : "span")
      if (link instanceof HTMLAnchorElement) link.href = address
      link.textContent = `Code ${at}`
      const told = point[2] === 0 ? "does not occur" : `${(100 * point[2]).toPrecision(3)} % of all patches`
      output.append(link, ` ${told}`)
      if (point[2] > 0 && picture !== "") {
        const image = document.createElement("img")
        image.alt = `patches of code ${at}`
        image.src = addressOf(picture, at)
        // The size of a picture is known once it is loaded.
        image.addEventListener("load", () => {
          image.style.setProperty("--w", String(image.naturalWidth))
          const zoom = String(Math.max(1, Math.floor(336 / image.naturalWidth)))
          image.style.setProperty("--zoom", zoom)
          image.style.setProperty("--narrow", zoom)
        })
        output.append(image)
      }
    }
    requestAnimationFrame(draw)
  }

  /** Finds the code for which a function is smallest. */
  const least = (far: (x: number, y: number, at: number) => number, limit = Infinity): number => {
    let [best, smallest] = [-1, limit]
    for (const [at, point] of points.entries()) {
      const distance = far(...place(point), at)
      if (distance < smallest) [best, smallest] = [at, distance]
    }
    return best
  }

  const under = (event: MouseEvent): number => least((x, y) => Math.hypot(x - event.offsetX, y - event.offsetY), NEAR)

  const open = (at: number): void => {
    const address = addressOf(code, at)
    if (at >= 0 && isThere(address)) location.href = address
  }

  canvas.addEventListener("pointermove", (event) => {
    const at = under(event)
    if (at >= 0) choose(at)
  })
  canvas.addEventListener("click", (event) => open(under(event)))
  canvas.addEventListener("focus", () => {
    if (chosen < 0) choose(least((x, y) => Math.hypot(x - canvas.clientWidth / 2, y - canvas.clientHeight / 2)))
  })
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter") return open(chosen)
    const direction = KEYS[event.key]
    const from = points[chosen]
    if (direction === undefined || from === undefined) return
    event.preventDefault()
    const [x0, y0] = place(from)
    const [dx, dy] = direction
    const next = least((x, y, at) => {
      const along = (x - x0) * dx + (y - y0) * dy
      const across = Math.abs((x - x0) * dy - (y - y0) * dx)
      // Within a right angle around the direction.
      return at === chosen || along <= 0 || across > along ? Infinity : along + across
    })
    if (next >= 0) choose(next)
  })
  new ResizeObserver(draw).observe(canvas)
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw)
  draw()
}

for (const part of document.querySelectorAll<HTMLElement>("[data-map]")) {
  const canvas = part.querySelector("canvas")
  const output = part.querySelector<HTMLElement>(".map-told")
  const told = part.querySelector("script")?.textContent
  if (canvas !== null && output !== null && told) attach(canvas, output, JSON.parse(told))
}
