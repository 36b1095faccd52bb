/** Marks all patches of an image that have the code of the patch under the pointer, or with the focus. */

for (const root of document.querySelectorAll<HTMLElement>("[data-same-code]")) {
  const cells = Array.from(root.querySelectorAll<HTMLElement>("[data-code]"))
  const mark = ({ target }: Event): void => {
    const code = target instanceof Element ? target.closest<HTMLElement>("[data-code]")?.dataset["code"] : undefined
    for (const cell of cells) cell.classList.toggle("same", code !== undefined && cell.dataset["code"] === code)
  }
  for (const kind of ["pointerover", "focusin"]) root.addEventListener(kind, mark)
  root.addEventListener("pointerleave", mark)
}
