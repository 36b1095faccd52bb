/** Shows all images of an atlas in the browser: only those near the part in view are in the page. */
import * as ImageTile from "../views/ImageTile.ts"
import * as VirtualList from "./VirtualList.ts"

const COLUMN = 112
const GAPS = [8, 8] as const

for (const pages of document.querySelectorAll<HTMLElement>("[data-images]")) {
  const { image, images, picture }: ImageTile.Source = JSON.parse(pages.dataset["images"]!)
  const list = document.createElement("ol")
  list.className = "tiles-of-images"
  pages.replaceChildren(list)
  const render = (index: number): HTMLElement =>
    VirtualList.element(ImageTile.render({ image: index, href: image.replace("{code}", String(index)) }))
  const fill = (item: HTMLElement, index: number): void => {
    item.querySelector("img")!.src = picture.replace("{code}", String(index))
  }
  VirtualList.attach(list, { column: COLUMN, gaps: GAPS, count: () => images, render, fill })()
}
