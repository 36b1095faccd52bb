import { assert, describe, it } from "@effect/vitest"
import * as SplitFolders from "../../src/domain/evaluation/SplitFolders.ts"

const cases: ReadonlyArray<readonly [folders: Readonly<Record<string, ReadonlyArray<string>>>, decided: string]> = [
  [{ training_set: ["cat", "dog"], test_set: ["cat", "dog"] }, "splits"],
  [{ training_set: ["cat", "dog"] }, "splits"],
  [{ TrainSet: [], "test-data": [] }, "splits"],
  [{ trainset: ["cat"], valset: ["cat"], others: [] }, "splits"],
  [{ train2017: ["cat", "dog"] }, "unsure"],
  [{ seg_train: ["cat"], bus: [] }, "unsure"],
  [{ train2017: [], bus: [] }, "classes"],
  [{ dataset: ["cat"], data: ["dog"] }, "classes"],
  [{ sunset: [], trainer: [] }, "classes"]
]

describe("sub-folders", () => {
  it.each(cases)("%j are %s", (folders, decided) => {
    assert.strictEqual(SplitFolders.decide(Object.keys(folders), new Map(Object.entries(folders))), decided)
  })
})
