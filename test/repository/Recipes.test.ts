import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parse } from "yaml"
import * as Preset from "../../src/domain/config/Preset.ts"
import * as Presets from "../../src/domain/config/presets/Presets.ts"

const page = readFileSync(fileURLToPath(new URL("../../docs/finetuning.md", import.meta.url)), "utf8")

const files = Array.from(page.matchAll(/```yaml\n(.*?)```/gs), ([, text]) => text!)

describe("the recipes of the guide", () => {
  it.effect.each(files)("are configurations: %s", (text) =>
    Effect.gen(function*() {
      const changes = parse(text)
      for (const preset of [Presets.base, Presets.large]) {
        const { finetune } = yield* Preset.with(preset, changes)
        const { batchSize, duration, lr, unit } = finetune.optimizer
        assert.deepStrictEqual([finetune.layerDecay, lr], [changes.finetune.layerDecay, changes.finetune.optimizer.lr])
        assert.deepStrictEqual([unit, duration], ["epochs", changes.finetune.optimizer.epochs])
        assert.strictEqual(batchSize, changes.finetune.optimizer.batchSize ?? 1024)
      }
    }))

  it("are four", () => assert.lengthOf(files, 4))
})
