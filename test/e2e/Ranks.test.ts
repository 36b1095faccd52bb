import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Schema } from "effect"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll } from "vitest"
import { stringify } from "yaml"
import { Preset } from "../../src/domain/config/Preset.ts"
import { PretrainConfig } from "../../src/domain/config/PretrainConfig.ts"
import * as RemoteRuns from "../../src/layers/storage/RemoteRuns.ts"
import { draw, found } from "../cli/kit.ts"
import { isThere, type Job, killAll, library, node, start } from "../layers/ranks/mpi.ts"
import { serve } from "../layers/storage/s3Server.ts"
import { micro } from "../pipelines/kit.ts"
import { root } from "../repository/rules.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-ranks-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
const bin = join(root, "src/cli/bin.ts")
const STEPS = 20

const wordsAt = (out: string, ...more: ReadonlyArray<string>) => [
  "pretrain",
  "--tokenizer",
  at("tokenizer"),
  "--config",
  at("micro.yaml"),
  "--images",
  at("images"),
  "--threads",
  "1",
  "--set",
  "pretrain.optimizer.batchSize=4",
  "--set",
  `pretrain.optimizer.duration=${STEPS}`,
  "--out",
  out,
  ...more
]
const words = (run: string, ...more: ReadonlyArray<string>) => wordsAt(at(run), ...more)
const ranks = (size: number, run: string, ...more: ReadonlyArray<string>) => start(size, [bin, ...words(run, ...more)])

type Row = Readonly<Record<string, number>>
const rows = (run: string): ReadonlyArray<Row> =>
  existsSync(at(run, "log.jsonl"))
    ? readFileSync(at(run, "log.jsonl"), "utf8").trim().split("\n").filter((line) => line !== "").map((line) =>
      JSON.parse(line) as Row
    )
    : []

const close = (found: ReadonlyArray<Row>, expected: ReadonlyArray<Row>) => {
  assert.strictEqual(found.length, STEPS)
  expected.forEach((row, i) => {
    for (const key of ["loss", "gradientNorm", "lr"]) {
      assert.closeTo(found[i]![key]!, row[key]!, 1e-3 * Math.abs(row[key]!), `${key} of step ${i + 1}`)
    }
  })
}

const until = Effect.fnUntraced(function*(condition: () => boolean) {
  while (!condition()) yield* Effect.sleep(20)
})

const pidOf = (job: Job, rank: number): number => {
  const below = (pid: number | string): ReadonlyArray<string> => {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter((one) =>
      one !== ""
    )
    return [...children, ...children.flatMap(below)]
  }
  const found = below(job.launcher.pid!).find((pid) =>
    readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`PMI_RANK=${rank}`)
  )
  return Number(found)
}

const files = ["stages/pretrain.safetensors", "log.jsonl"]

describe.skipIf(!isThere || process.platform !== "linux")("a training of several ranks", () => {
  beforeAll(async () => {
    const { pretrain, ...preset } = micro({ duration: 2, warmup: 1, batchSize: 4 })
    const small = new Preset({ ...preset, pretrain: new PretrainConfig({ ...pretrain, aggregation: null }) })
    writeFileSync(at("micro.yaml"), stringify(Schema.encodeSync(Schema.toCodecJson(Preset))(small)))
    await draw(at("images"))
    const common = ["--config", at("micro.yaml"), "--images", at("images"), "--threads", "1"]
    await Effect.runPromise(Effect.provide(
      Effect.andThen(found("tokenizer", "train", ...common, "--out", at("tokenizer")), found(...words("alone"))),
      NodeServices.layer
    ))
  })
  afterEach(killAll)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.live(
    "is that of one rank, rank 0 speaks for all, and it ends with the same bytes after Ctrl-C and after a death",
    () =>
      Effect.gen(function*() {
        const whole = ranks(2, "whole", "--json")
        assert.strictEqual(yield* whole.end, 0, whole.errors())
        close(rows("whole"), rows("alone"))
        assert.strictEqual(whole.lines.length, 1)
        assert.strictEqual((JSON.parse(whole.lines[0]!) as { readonly step: number }).step, STEPS)
        const environment = JSON.parse(readFileSync(at("whole", "environment.json"), "utf8")) as Readonly<
          Record<string, unknown>
        >
        assert.containsSubset(environment["computedOn"], [{ ranks: 2 }])

        const stopped = ranks(2, "broken")
        yield* until(() => rows("broken").length >= 1)
        stopped.launcher.kill("SIGINT")
        assert.strictEqual(yield* stopped.end, 130, stopped.errors())
        const [checkpoint, ...others] = readdirSync(at("broken", "checkpoints", "pretrain"))
        assert.deepStrictEqual(others, [])
        assert.match(checkpoint!, /^step-000000(?:0[1-9]|1\d|20)$/)
        assert.match(stopped.errors(), /^this goes on: mpiexec -n 2 patchword pretrain /m)
        assert.isFalse(existsSync(at("broken", "lock")))

        const before = rows("broken").length
        const killed = ranks(2, "broken")
        yield* until(() => rows("broken").length > before || killed.launcher.exitCode !== null)
        const begun = performance.now()
        process.kill(pidOf(killed, 1), "SIGKILL")
        assert.notStrictEqual(yield* killed.end, 0)
        assert.isBelow(performance.now() - begun, 10_000)

        const again = ranks(2, "broken")
        assert.strictEqual(yield* again.end, 0, again.errors())
        for (const file of files) {
          assert.isTrue(readFileSync(at("broken", file)).equals(readFileSync(at("whole", file))), file)
        }
        assert.isFalse(existsSync(at("broken", "lock")))
      }),
    240_000
  )

  it.live(
    "keeps its run in object storage, by rank 0 alone, with the same bytes after Ctrl-C and the death of rank 0",
    () =>
      Effect.gen(function*() {
        const { endpoint, objects } = yield* serve
        const variables = {
          AWS_ACCESS_KEY_ID: "me",
          AWS_SECRET_ACCESS_KEY: "secret",
          AWS_ENDPOINT_URL_S3: endpoint,
          XDG_CACHE_HOME: at("caches"),
          PATCHWORD_MPI: library
        }
        const program = ["env", ...Object.entries(variables).map(([name, value]) => `${name}=${value}`), ...node]
        const begin = () => start(2, [bin, ...wordsAt("s3://bucket/runs/one")], program)
        const steps = () => {
          const names = existsSync(at("caches")) ? readdirSync(at("caches"), { recursive: true }) as Array<string> : []
          const log = names.find((name) => name.endsWith("log.jsonl"))
          return log === undefined ? 0 : readFileSync(at("caches", log), "utf8").split("\n").length - 1
        }
        const manifest = () =>
          JSON.parse(String(objects.get("bucket/runs/one/run.json"))) as Readonly<Record<string, unknown>>

        const stopped = begin()
        yield* until(() => steps() > 0 || stopped.launcher.exitCode !== null)
        stopped.launcher.kill("SIGINT")
        assert.strictEqual(yield* stopped.end, 130, stopped.errors())
        assert.containsSubset(manifest(), { number: 1, owner: null })
        assert.match(Object.keys(manifest()["files"]!).join(" "), /checkpoints\/pretrain\/step-\d+\/state\.json/)

        const killed = begin()
        yield* until(() => manifest()["number"] === 2 || killed.launcher.exitCode !== null)
        process.kill(pidOf(killed, 0), "SIGKILL")
        assert.notStrictEqual(yield* killed.end, 0)
        assert.isNotNull(manifest()["owner"])

        const again = begin()
        assert.strictEqual(yield* again.end, 0, again.errors())
        assert.containsSubset(manifest(), { number: 3, owner: null })
        assert.include(again.errors(), "configuration: of the run s3://bucket/runs/one;")
        const run = RemoteRuns.download("s3://bucket/runs/one", at("downloaded"))
        yield* Effect.provide(run, [NodeServices.layer, ConfigProvider.layer(ConfigProvider.fromUnknown(variables))])
        for (const file of files) {
          assert.isTrue(readFileSync(at("downloaded", file)).equals(readFileSync(at("whole", file))), file)
        }
        assert.deepStrictEqual(readdirSync(at("caches", "patchword", "storage")), [])
      }).pipe(Effect.scoped),
    240_000
  )

  it.live("refuses a rank with another configuration before anything is written", () =>
    Effect.gen(function*() {
      const script = `exec "$0" "$@" --set pretrain.optimizer.lr=0.00$((PMI_RANK + 1))`
      const job = start(2, [...node, bin, ...words("other")], ["sh", "-c", script])
      assert.strictEqual(yield* job.end, 73, job.errors())
      assert.match(
        job.errors(),
        /rank 1: rank 1 has another configuration than rank 0 \(pretrain\.optimizer\.lr is 0\.001 on rank 0, 0\.002 here\)/
      )
      assert.isFalse(existsSync(at("other")))
    }), 120_000)
})
