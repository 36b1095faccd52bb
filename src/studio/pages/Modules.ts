/** The modules for the browser that a page may begin with, by their places in the source without ending. */

/** All of them. */
export const all = [
  "studio/browser/Live",
  "studio/browser/LiveList",
  "pipelines/atlas/browser/CodeSearch",
  "pipelines/atlas/browser/ImageGallery",
  "pipelines/atlas/browser/MapCanvas",
  "pipelines/atlas/browser/SameCode",
  "pipelines/tokenize/TokenizeScript"
] as const

/** One of them. */
export type Module = typeof all[number]
