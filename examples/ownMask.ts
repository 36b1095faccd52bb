/** A mask of one's own, to pretrain with: `npm run example examples/ownMask.ts` shows it. */
import { Console, Effect } from "effect"
import type { Mask } from "patchword/domain"

/** Hides the leftmost columns: `pretrain(config, tokenizer, { mask: columns })`. */
export const columns: Mask.Mask = {
  name: "columns",
  draw: ({ count, height, width }) =>
    Uint8Array.from(
      { length: height * width },
      (_, patch) => (patch % width) * height + Math.floor(patch / width) < count ? 1 : 0
    )
}

if (import.meta.main) {
  const key = { seed: 0, purpose: "mask", epoch: 0, index: 0 }
  const mask = Array.from(columns.draw({ height: 6, width: 6, count: 14, minBlock: 3 }, key))
  const rows = [0, 6, 12, 18, 24, 30].map((start) => mask.slice(start, start + 6).join(" "))
  await Effect.runPromise(Console.log(rows.join("\n")))
}
