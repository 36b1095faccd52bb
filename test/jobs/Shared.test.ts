import * as NodeServices from "@effect/platform-node/NodeServices"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import {
  Console,
  Deferred,
  Effect,
  Exit,
  FileSystem,
  Layer,
  ManagedRuntime,
  Queue,
  Redacted,
  Schedule,
  Schema,
  Scope,
  Stream
} from "effect"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as CommandRun from "../../src/cli/commands/jobs/CommandRun.ts"
import * as JobsText from "../../src/cli/commands/jobs/JobsText.ts"
import { patchword } from "../../src/cli/patchword.ts"
import { Preset } from "../../src/domain/config/Preset.ts"
import * as Helping from "../../src/jobs/Helping.ts"
import * as Job from "../../src/jobs/Job.ts"
import * as Jobs from "../../src/jobs/Jobs.ts"
import * as JobStore from "../../src/jobs/JobStore.ts"
import * as Stages from "../../src/jobs/Stages.ts"
import * as Worker from "../../src/jobs/Worker.ts"
import * as Progress from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as SharedWork from "../../src/layers/storage/SharedWork.ts"
import { draw, found, hearing, said } from "../cli/kit.ts"
import { filesOf } from "../layers/run/files.ts"
import { micro } from "../pipelines/kit.ts"
import { Postgres } from "./postgres.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-shared-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)

const offer: Job.Offer = { engines: ["onnx"], gpu: false, memoryGiB: 8 }
const commands = CommandRun.make(() => patchword)
const plain = ["--images", at("images"), "--threads", "1"]
const common = ["--config", at("micro.json"), ...plain]
const make = (url: string) =>
  ManagedRuntime.make(
    Layer.mergeAll(NodeServices.layer, Layer.provideMerge(Jobs.layer, JobStore.layer(Redacted.make(url))))
  )

let postgres: Postgres
let store: ReturnType<typeof make>

const submitted = (...words: ReadonlyArray<string>) =>
  Effect.map(found("jobs", "submit", ...words, "--store", postgres.url), ({ job }) => Number(job))

const silent = { ...globalThis.console, log: () => {}, error: () => {} }

const working = <P, R>(run: Stages.Run<P, R>, say: (text: string) => Effect.Effect<void> = () => Effect.void) =>
  Layer.build(Worker.layer([run], { offer, host: "127.0.0.1", say })).pipe(
    Effect.provideService(Console.Console, silent)
  )

const ended = (id: number) =>
  Effect.gen(function*() {
    const all = yield* Stream.runCollect((yield* Jobs.Jobs).follow(id))
    return all.at(-1)!
  })

const lineOf = Effect.fnUntraced(function*(id: number) {
  const { sql } = yield* JobStore.JobStore
  const [row] = yield* sql<{ readonly payload: string }>`SELECT payload FROM patchword_jobs WHERE id = ${id}`
  const stage = commands.stage(yield* commands.read(row!.payload), 0)
  assert.isTrue(stage._tag === "Some")
  return stage._tag === "Some" ? stage.value : assert.fail()
})

beforeAll(async () => {
  writeFileSync(at("micro.json"), JSON.stringify(Schema.encodeSync(Preset)(micro({ duration: 2, warmup: 1 }))))
  await draw(at("images"))
  postgres = await Postgres.create()
  store = make(postgres.url)
})

afterAll(async () => {
  await store.dispose()
  await postgres.remove()
  rmSync(folder, { recursive: true })
})

describe("a job", () => {
  it(
    "of a study is cancelled, resumed, interrupted, and finished by another worker, to the same bytes",
    () =>
      store.runPromise(Effect.gen(function*() {
        const { cancel, resume, show } = yield* Jobs.Jobs
        const asked = ["table6", ...common, "--seeds", "0"]
        const job = yield* submitted("study", ...asked, "--out", at("study"))
        const told: Array<string> = []
        const reached = yield* Deferred.make<void>()
        let isCancelled = false
        const say = (text: string) =>
          Effect.gen(function*() {
            told.push(text)
            if (!isCancelled && text.includes("seed 0 (1 of 2)")) {
              isCancelled = true
              yield* Effect.orDie(cancel(job))
            }
            if (text.includes("seed 0 (2 of 2)")) yield* Deferred.succeed(reached, undefined)
          })
        yield* Effect.scoped(Effect.gen(function*() {
          yield* working(commands, say)
          assert.strictEqual((yield* ended(job)).state, "cancelled")
          assert.isFalse(existsSync(at("study", "table6.html")))
          yield* resume(job)
          yield* Deferred.await(reached)
        }))
        assert.include(told, `job ${job}: cancelled, its state is saved`)
        assert.include(told, `job ${job}: given back, its state is saved`)
        assert.deepInclude(yield* show(job), { state: "waiting", done: 0 })

        yield* Effect.scoped(Effect.andThen(working(commands), ended(job)))
        const last = yield* show(job)
        assert.deepInclude(last, { state: "finished", failure: null, stages: ["study"], title: at("study") })
        assert.deepInclude(last.progress, {
          stage: "finetune",
          part: { name: "table6/encoder-hog, seed 0", number: 2, total: 2 }
        })
        assert.match(
          JobsText.show({ ...last, state: "cancelling" }),
          /^state +cancelling \(if its worker is gone: until another one runs\)$/m
        )
        const text = JobsText.line({ ...last, state: "running" })
        assert.include(text, "table6/encoder-hog, seed 0 (2 of 2), finetune 2 of 2")

        yield* said("study", ...asked, "--out", at("alone"))
        const [one, two] = ["study", "alone"].map((name) => filesOf(at(name)))
        const names = Object.keys(two!).filter((name) => /^table6|^stages|\/stages\/|log\.jsonl$/.test(name))
        assert.isAbove(names.length, 10)
        for (const name of names) assert.isTrue(one![name] === two![name], name)
      })),
    60_000
  )

  it(
    "of images to encode, and of a cache, is helped with, and has the bytes of one process",
    () =>
      store.runPromise(Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        yield* said("tokenizer", "train", ...common, "--out", at("run"))
        yield* said("encode", at("run"), ...plain, "--out", at("alone.safetensors"))
        yield* said("tokenizer", "cache", at("alone-cache"), ...common)
        const codes = at("codes.safetensors")
        const encoding = yield* submitted("encode", at("run"), ...plain, "--out", codes, "--shards", at("parts"))
        const caching = yield* submitted("cache", at("cache"), ...common, "--shards", at("views"), "--workers", "3")
        const { show } = yield* Jobs.Jobs
        assert.deepStrictEqual([(yield* show(encoding)).workers, (yield* show(caching)).workers], [null, 3])

        for (const [id, shards] of [[encoding, "parts"], [caching, "views"]] as const) {
          yield* Effect.provideService((yield* lineOf(id)).help!, Console.Console, silent)
          assert.include(readdirSync(at(shards)), "shard-00000.bin")
        }
        assert.isFalse(existsSync(codes))
        assert.isFalse(existsSync(at("cache")))
        yield* Effect.scoped(Effect.gen(function*() {
          yield* working(commands)
          for (const id of [encoding, caching]) {
            assert.deepInclude(yield* ended(id), { state: "finished", failure: null })
          }
        }))
        assert.isTrue(readFileSync(codes).equals(readFileSync(at("alone.safetensors"))))
        assert.strictEqual(readFileSync(at("codes.csv"), "utf8"), readFileSync(at("alone.csv"), "utf8"))
        const [one, two] = ["cache", "alone-cache"].map((name) => filesOf(at(name)))
        assert.deepStrictEqual(Object.keys(one!), Object.keys(two!))
        for (const name of Object.keys(two!)) assert.isTrue(one![name] === two![name], name)

        const heard: Array<string> = []
        const helped = yield* found("encode", at("run"), ...plain, "--shards", at("parts")).pipe(hearing(heard))
        assert.deepInclude(helped, { shards: at("parts"), images: 24 })
        assert.include(heard.join("\n"), "encode 24/24 (100%)")

        const again = Effect.provideService((yield* lineOf(encoding)).run, Console.Console, silent)
        yield* fs.remove(at("codes.csv"))
        yield* again
        assert.isTrue(existsSync(at("codes.csv")))
        yield* fs.writeFileString(codes, "another file")
        assert.include(String(yield* Effect.flip(again)), "there is a file already")
      })),
    60_000
  )

  it("takes no more helpers than it wants, and tells of them", () =>
    store.runPromise(Effect.gen(function*() {
      const { sql } = yield* JobStore.JobStore
      const { show } = yield* Jobs.Jobs
      const [begun, opened] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const made: Array<string> = []
      const share = (who: string, gate: Effect.Effect<void>) =>
        SharedWork.make(
          at("squares"),
          { shards: 4, about: { squares: true } },
          (shard, write) =>
            Effect.gen(function*() {
              made.push(who)
              yield* gate
              yield* write(Uint8Array.of(shard * shard))
            }),
          (step) =>
            Effect.flatMap(Progress.Progress, ({ report }) => report({ stage: "squares", step, total: 4, metrics: {} }))
        )
      const squares = Stages.workflow("Squares", {
        payload: Schema.Struct({}),
        title: () => "squares",
        workers: () => 2,
        stages: () => [{
          name: "squares",
          run: share("main", Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(opened))),
          help: share("helper", Effect.void)
        }]
      })
      const job = yield* Stages.submit(squares, {})
      const told: Array<string> = []
      const helperOf = (worker: string, of = offer) =>
        Helping.make({
          sql,
          worker,
          offer: of,
          isFree: Effect.succeed(true),
          say: (text) => Effect.sync(() => void told.push(`${worker} ${text}`))
        })
      yield* Effect.scoped(Effect.gen(function*() {
        yield* working(squares)
        yield* Deferred.await(begun)
        const join = (helper: ReturnType<typeof helperOf>) => helper.begin([squares])
        const [one, two, three] = [
          helperOf("one:1"),
          helperOf("two:1"),
          helperOf("three:1", { ...offer, engines: ["xla"] })
        ]
        yield* join(three)
        assert.deepStrictEqual(told, [])
        while (!told.includes(`one:1 job ${job}: helps with squares`)) {
          yield* Effect.andThen(join(one), Effect.sleep(20))
        }
        yield* join(two)
        assert.deepInclude(yield* show(job), { workers: 2, helpers: ["one:1"] })
        assert.match(JobsText.show(yield* show(job)), /most workers +2\nhelpers +one:1\n/)
        assert.match(JobsText.line(yield* show(job)), /, 2 workers$/)
        while (made.length < 4) yield* Effect.sleep(20)
        yield* Deferred.succeed(opened, undefined)
        assert.deepInclude(yield* ended(job), { state: "finished" })
        while (!told.includes(`one:1 job ${job}: helps no more`)) yield* Effect.sleep(20)
        assert.deepInclude((yield* show(job)).progress, { stage: "squares", step: 4, total: 4 })
        assert.deepStrictEqual((yield* show(job)).helpers, [])
        yield* join(one)
      }))
      assert.deepStrictEqual(made.toSorted(), ["helper", "helper", "helper", "main"])
      assert.deepStrictEqual(told, [`one:1 job ${job}: helps with squares`, `one:1 job ${job}: helps no more`])
    })), 30_000)

  it("that goes on elsewhere after a stage does not keep its worker from the next one", () =>
    store.runPromise(Effect.gen(function*() {
      const started = yield* Queue.unbounded<Stages.Execution>()
      const kept = yield* Deferred.make<Stages.Keeper>()
      const run = Stages.workflow("Kept", {
        payload: Schema.Struct({}),
        title: () => "kept",
        stages: () => [{ name: "first", run: Effect.void }]
      })
      const given: Stages.Run<{}, never> = {
        ...run,
        start: ({ execution, job }) => Effect.asVoid(Queue.offer(started, { execution, job })),
        layer: Layer.effectDiscard(Effect.flatMap(Stages.Keeper, (keeper) => Deferred.succeed(kept, keeper)))
      }
      yield* Effect.scoped(Effect.gen(function*() {
        yield* working(given)
        const { ended: over, stage } = yield* Deferred.await(kept)
        const jobs = [yield* Stages.submit(run, {}), yield* Stages.submit(run, {})]
        const first = yield* Queue.take(started)
        assert.strictEqual(yield* stage({ ...first, stage: "first", index: 0 })(Effect.void), "done")
        yield* over(first, Exit.interrupt())
        const second = yield* Queue.take(started)
        assert.deepStrictEqual([first.job, second.job], jobs)
        yield* over(second, Exit.succeed("done"))
        assert.deepInclude(yield* ended(second.job), { state: "finished" })
      }))
    })))

  it("that a worker has claimed and not begun is given back at once when the worker ends", () =>
    store.runPromise(Effect.gen(function*() {
      const run = Stages.workflow("Claimed", {
        payload: Schema.Struct({}),
        title: () => "claimed",
        stages: () => [{ name: "first", run: Effect.void }]
      })
      const started = yield* Deferred.make<Stages.Execution>()
      const given: Stages.Run<{}, never> = {
        ...run,
        start: ({ execution, job }) => Effect.asVoid(Deferred.succeed(started, { execution, job })),
        layer: Layer.empty
      }
      const { cancel, show } = yield* Jobs.Jobs
      const job = yield* Stages.submit(run, {})
      yield* Effect.scoped(Effect.andThen(working(given), Deferred.await(started)))
      assert.deepInclude(yield* show(job), { state: "waiting", worker: null })
      yield* cancel(job)
    })))

  it("whose folder another one uses is given back with its reason, and taken again when the folder may be free", () =>
    store.runPromise(Effect.gen(function*() {
      const out = at("used")
      const open = Layer.build(Runs.layer(out, { config: { test: "used" } }))
      const run = Stages.workflow("Used", {
        payload: Schema.Struct({ out: Schema.String }),
        title: ({ out }) => out,
        stages: (given) => [{
          name: "first",
          run: given.out === "" ? Effect.void : Effect.scoped(open)
        }]
      })
      const told: Array<string> = []
      const { cancel, show } = yield* Jobs.Jobs
      const { sql } = yield* JobStore.JobStore
      const reason = "another part of this process is using it"
      const waiting = (job: number) =>
        Effect.repeat(show(job), { until: ({ waits }) => waits !== null, schedule: Schedule.spaced("20 millis") })
      yield* Effect.scoped(Effect.gen(function*() {
        const holding = yield* Scope.make()
        yield* Scope.provide(open, holding)
        const used = yield* Stages.submit(run, { out })
        const gone = yield* Stages.submit(run, { out })
        const free = yield* Stages.submit(run, { out: "" })
        yield* working(run, (text) => Effect.sync(() => void told.push(text)))
        assert.deepInclude(yield* ended(free), { state: "finished" })
        const found = yield* waiting(used)
        assert.deepInclude(found, { state: "waiting", worker: null, failure: null })
        assert.include(found.waits, reason)
        assert.match(JobsText.show(found), /state +waiting \(.*is using it; tried again every 15 seconds\)/)
        assert.match(told.join("\n"), /given back, .*is using it\. It is tried again in 15 seconds/)
        yield* waiting(gone)
        assert.deepInclude(yield* cancel(gone), { state: "cancelled", waits: null })
        yield* Scope.close(holding, Exit.void)
        yield* sql`UPDATE patchword_jobs SET not_before = now() WHERE id = ${used}`
        assert.deepInclude(yield* ended(used), { state: "finished", waits: null })
        assert.deepInclude(yield* show(gone), { state: "cancelled" })
      }))
    })))
})
