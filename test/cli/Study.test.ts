import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Runtime, Schema } from "effect"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { stringify } from "yaml"
import { Preset } from "../../src/domain/config/Preset.ts"
import { StudyPlan } from "../../src/pipelines/study/StudyPlan.ts"
import { micro } from "../pipelines/kit.ts"
import { draw, found, hearing, said } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-study-cli-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)

const common = ["--config", at("micro.yaml"), "--images", at("images"), "--threads", "1", "--seeds", "0"]

const refused = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  const error = yield* Effect.flip(said("study", ...args))
  const code = (error as { readonly [Runtime.errorExitCode]?: number })[Runtime.errorExitCode]
  return [code, (error as Error).message] as const
})

describe("patchword study", () => {
  beforeAll(async () => {
    writeFileSync(
      at("micro.yaml"),
      stringify(Schema.encodeSync(Schema.toCodecJson(Preset))(micro({ duration: 2, warmup: 0 })))
    )
    await draw(at("images"))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.live("lists the rows, plans them, and runs one with its table", () =>
    Effect.gen(function*() {
      const list = yield* said("study")
      assert.match(list, /table4\/small +encoder 3x64x2, decoder 1x64x2, codebook 256x32/)
      assert.match(list, /table5\/late +l=4, depth 2, head shared/)
      assert.include(list, "table6/encoder-hog")
      assert.notInclude(list, "teacher-hog")
      assert.include(yield* said("study", "--teachers", "dino:a.pth,dino:b.pth"), "table6/teacher-dino-2")

      const out = at("out")
      const asked = ["table5/none", ...common, "--out", out]
      const planned = yield* found("study", ...asked, "--plan")
      assert.deepStrictEqual(Schema.decodeUnknownSync(StudyPlan)(planned), planned as never)
      for (const [i, stage] of ["tokenizer", "pretrain", "finetune"].entries()) {
        const { seconds: _, disk: _disk, ...run } = (planned.runs as StudyPlan["runs"])[i]!
        assert.deepStrictEqual(run as object, { stage, rows: ["none"], runs: 1, finished: 0, steps: 2 })
      }
      assert.isFalse(existsSync(out))

      const told: Array<string> = []
      const table = yield* hearing(told)(said("study", ...asked))
      assert.match(table, /none +\d+\.\d +84\.7/)
      assert.match(
        table,
        /not run here[\s\S]*without patch aggregation +ADE20K mIoU +51\.9 +segmentation: patchword segment/
      )
      assert.include(table, `${out}/table5.html`)
      const report = yield* found("study", ...asked)
      const { files, ...rest } = report
      assert.deepStrictEqual(JSON.parse(readFileSync((files as Array<string>)[0]!, "utf8")), rest)
      const after = yield* found("study", ...asked, "--plan")
      assert.isTrue((after.runs as StudyPlan["runs"]).every(({ finished }) => finished === 1))
      assert.strictEqual(after.seconds, 0)
    }).pipe(Effect.provide(NodeServices.layer)), 120_000)

  it.live("refuses what there is not", () =>
    Effect.gen(function*() {
      const [code, message] = yield* refused("table9")
      assert.strictEqual(code, 64)
      assert.include(message, "expected table4, table5 or table6, got table9")
      assert.include((yield* refused("table5", "--seeds", "0,0"))[1], "expected different whole numbers")
      assert.include(
        (yield* refused("table5", "--seeds", "0,x"))[1],
        "expected different whole numbers joined by commas, got 0,x"
      )
      assert.include((yield* refused("table5", "--teachers", "hog"))[1], "expected table6, got table5")
      assert.include((yield* refused("table5/last", ...common, "--out", at("no")))[1], "none, shared, separate")
    }).pipe(Effect.provide(NodeServices.layer)), 60_000)
})
