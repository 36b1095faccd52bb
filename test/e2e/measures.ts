/* Functions that run in the page. */

export const contrasts = () => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true })!
  const luminance = (colour: string) => {
    canvas.fillStyle = colour
    canvas.fillRect(0, 0, 1, 1)
    const linear = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((value) =>
      value <= 10 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4
    )
    return 0.2126 * linear[0]! + 0.7152 * linear[1]! + 0.0722 * linear[2]!
  }
  return [
    ...document.querySelectorAll(
      "h1, h2, p, dt, .value, .beside, .bound, .yes, .no, th, td:not(.heat), a, summary, .muted, .key"
    )
  ]
    .filter((element) => element.textContent !== "")
    .map((element) => {
      let ground: Element | null = element
      while (ground !== null && getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") {
        ground = ground.parentElement
      }
      const [a, b] = [
        luminance(getComputedStyle(element).color),
        luminance(ground === null ? "white" : getComputedStyle(ground).backgroundColor)
      ]
      return { text: element.textContent, ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), ground: b }
    })
}

export const focused = () => {
  const element = document.activeElement!
  const { outlineStyle, outlineWidth } = getComputedStyle(element)
  return { tag: element.tagName, text: element.textContent, seen: outlineStyle === "solid" && outlineWidth === "2px" }
}
