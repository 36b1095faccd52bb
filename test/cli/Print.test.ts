import { assert, describe, it } from "@effect/vitest"
import { Console, Effect } from "effect"
import * as Print from "../../src/cli/terminal/Print.ts"
import * as PaperTables from "../../src/domain/evaluation/PaperTables.ts"

const figure = (split: string, classes: number) => ({
  split,
  images: 50,
  classes,
  top1: 0.5,
  interval: [0.36, 0.64] as const,
  largestClass: 0.01
})

const found = [figure("val", 1000), figure("other", 1000)]
const vit = { imageSize: 224, patchSize: 16, width: 768, depth: 12 }
const paper = found.map((one) => PaperTables.counterpart({ verb: "probe", vit }, one))

const printed = (json: boolean, figures: Parameters<typeof Print.evaluation>[2]) =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    yield* Effect.provideService(Print.evaluation(json, {}, figures, []), Console.Console, {
      ...globalThis.console,
      log: (line: string) => void lines.push(line)
    })
    return lines.join("\n")
  })

describe("an evaluation", () => {
  it.effect("is printed beside the paper's number, where it has one", () =>
    Effect.gen(function*() {
      const [head, val, other] = (yield* printed(false, { found, paper })).trim().split("\n")
      assert.match(head!, /largest class, % +paper, ImageNet-1k, %$/)
      assert.match(val!, /^val .* 80\.1 \(table 2, .*\)$/)
      assert.match(other!, /^other .* 1\.0 *$/)
      assert.notInclude(yield* printed(false, { found, paper: [undefined, undefined] }), "paper")
      const object = JSON.parse(yield* printed(true, { found, paper }))
      assert.deepStrictEqual(object.paper, { val: paper[0] })
      assert.notProperty(JSON.parse(yield* printed(true, { found })), "paper")
    }))
})
