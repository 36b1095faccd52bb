import { assert, describe, it } from "@effect/vitest"
import { chosen } from "../../src/pipelines/report/Chosen.ts"

describe("the setting of a result", () => {
  it.each([
    [{ winner: "4_blocks_cls_lr_0_01", chosenOn: "val", tried: [] }, "4_blocks_cls_lr_0_01, chosen on val"],
    [{ method: "logreg", c: 0.0316227766, chosenOn: "val" }, "C 0.0316, chosen on val"],
    [{ l2: 0.01, chosenOn: null }, "l2 0.01"],
    [{ neighbours: 5, perClass: 10, tries: 5 }, "k 5, images per class: 10"],
    [{ config: {} }, ""],
    [null, ""]
  ])("of %j is said in words", (settings, said) => {
    assert.strictEqual(chosen(settings), said)
  })
})
