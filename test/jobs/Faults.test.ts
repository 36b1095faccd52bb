import * as NodeServices from "@effect/platform-node/NodeServices"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, ManagedRuntime, Redacted, Schema, Stream } from "effect"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { Preset } from "../../src/domain/config/Preset.ts"
import * as Job from "../../src/jobs/Job.ts"
import * as Jobs from "../../src/jobs/Jobs.ts"
import * as JobStore from "../../src/jobs/JobStore.ts"
import * as Stages from "../../src/jobs/Stages.ts"
import { LEASE } from "../../src/jobs/Worker.ts"
import * as RemoteRuns from "../../src/layers/storage/RemoteRuns.ts"
import { draw, said } from "../cli/kit.ts"
import { start } from "../e2e/child.ts"
import { Endpoint, motoIfThere } from "../layers/storage/servers.ts"
import { micro } from "../pipelines/kit.ts"
import { EVERY, run, SHARDS, shared, STEPS } from "./microRun.ts"
import { PASSWORD, Postgres } from "./postgres.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-jobs-"))

const storage = ManagedRuntime.make(motoIfThere)
let variables: Readonly<Record<string, string>>
let postgres: Postgres
let store: ManagedRuntime.ManagedRuntime<Jobs.Jobs, unknown>

const text = (file: string): string => existsSync(file) ? readFileSync(file, "utf8") : ""

const rows = (out: string): number => text(join(out, "log.jsonl")).split("\n").length - 1

const contents = (out: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    ["log.jsonl", ...readdirSync(join(out, "stages")).toSorted().map((name) => `stages/${name}`)]
      .map((name) => [name, readFileSync(join(out, name)).toString("base64")])
  )

const until = async <A>(read: () => A | Promise<A>, holds: (found: A) => boolean): Promise<A> => {
  for (;;) {
    const found = await read()
    if (holds(found)) return found
    await setTimeout(20)
  }
}

interface Worker {
  readonly child: ChildProcess
  readonly told: () => string
}

const workers: Array<Worker> = []

const watched = (child: ChildProcess): Worker => {
  let told = ""
  for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (part) => (told += String(part)))
  const worker = { child, told: () => told }
  workers.push(worker)
  return worker
}

const HASTY = 3

const begin = (lease = LEASE): Worker =>
  watched(start("test/jobs/workerChild.ts", [postgres.url, String(lease)], variables))

const end = async ({ child }: Worker, signal: NodeJS.Signals): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, "exit")
  child.kill(signal)
  await ended
}

const ask = <A, E>(use: (jobs: Jobs.Jobs["Service"]) => Effect.Effect<A, E>): Promise<A> =>
  store.runPromise(Effect.flatMap(Jobs.Jobs, use))

const submit = async (
  name: string,
  millis = 30,
  out = join(folder, name)
): Promise<{ readonly id: number; readonly out: string }> => {
  return { id: await store.runPromise(Stages.submit(run, { out, millis, gpu: false })), out }
}

const ended = (id: number): Promise<Job.Job> =>
  until(() => ask(({ show }) => show(id)), ({ state }) => Job.ENDED.includes(state))

const holder = (id: number): Promise<Worker> =>
  until(
    async () => {
      const { worker } = await ask(({ show }) => show(id))
      return workers.find(({ child }) => worker?.endsWith(`:${child.pid}`) === true)
    },
    (found) => found !== undefined
  ).then((found) => found!)

const killed = async (id: number, taken: () => number): Promise<void> => {
  await holder(id)
  begin()
  const logged = await until(taken, (steps) => steps > EVERY + 3)
  const first = await holder(id)
  const others = workers.filter((worker) => worker !== first).map(({ told }) => ({ told, before: told().length }))
  await end(first, "SIGKILL")
  const since = performance.now()
  const told = await until(
    () =>
      others.map(({ before, told }) => told().slice(before)).find((text) => text.includes("begins with step")) ?? "",
    (text) => text !== ""
  )
  assert.isBelow((performance.now() - since) / 1000, 10)
  const job = await ended(id)
  assert.strictEqual(job.state, "finished")
  assert.isAtLeast(job.taken, 3)
  const [, step] = /tokenizer begins with .*?(\d+)\n/.exec(told)!
  assert.isAtLeast(Number(step), logged - EVERY)
}

let unbroken: Readonly<Record<string, string>>

beforeAll(async () => {
  const [{ endpoint }, created] = await Promise.all([storage.runPromise(Endpoint), Postgres.create()])
  variables = {
    AWS_ACCESS_KEY_ID: "me",
    AWS_SECRET_ACCESS_KEY: PASSWORD,
    AWS_ENDPOINT_URL_S3: endpoint,
    XDG_CACHE_HOME: join(folder, "caches")
  }
  postgres = created
  store = ManagedRuntime.make(Layer.provide(Jobs.layer, JobStore.layer(Redacted.make(postgres.url))))
})

afterAll(async () => {
  await Promise.all(workers.map((worker) => end(worker, "SIGKILL")))
  await Promise.all([store.dispose(), storage.dispose()])
  await postgres.remove()
  rmSync(folder, { recursive: true })
})

describe("jobs on PostgreSQL", () => {
  it("wait for a worker that fits, and are done by it", async () => {
    const gpu = await store.runPromise(Stages.submit(run, { out: join(folder, "gpu"), millis: 0, gpu: true }))
    const { id, out } = await submit("unbroken", 0)
    begin()
    const job = await ended(id)
    assert.deepInclude(job, { state: "finished", done: 2, failure: null, title: out })
    assert.deepInclude(job.progress, { stage: "pretrain", step: STEPS, total: STEPS })
    assert.strictEqual((await ask(({ show }) => show(gpu))).state, "waiting")
    assert.strictEqual((await ask(({ cancel }) => cancel(gpu))).state, "cancelled")
    unbroken = contents(out)
  })

  it("of a folder go on before newer ones when their worker is killed", async () => {
    const place = join(folder, "store")
    const own = ManagedRuntime.make(Layer.provide(Jobs.layer, JobStore.layer(Redacted.make(place))))
    for (const [i, name] of ["interrupted", "newer"].entries()) {
      const id = await own.runPromise(Stages.submit(run, { out: join(folder, name), millis: 20, gpu: false }))
      assert.strictEqual(id, i + 1)
    }
    await own.dispose()
    const first = watched(start("test/jobs/workerChild.ts", [place, String(LEASE)], variables))
    await until(() => rows(join(folder, "interrupted")), (steps) => steps > EVERY + 3)
    await end(first, "SIGKILL")
    const second = watched(start("test/jobs/workerChild.ts", [place, String(LEASE)], variables))
    await until(second.told, (text) => /tokenizer begins with .*step 5|job 2/.test(text))
    assert.notInclude(second.told(), "job 2")
    await end(second, "SIGKILL")
  })

  it("go on at another worker when theirs is killed, from the last checkpoint, to the same bytes", async () => {
    const { id, out } = await submit("killed")
    await killed(id, () => rows(out))
    assert.deepStrictEqual(contents(out), unbroken)
  })

  it("go on so without a common disk, from object storage", async () => {
    const url = "s3://bucket/runs/killed"
    const { id } = await submit("remote", 30, url)
    const caches = variables["XDG_CACHE_HOME"]!
    await killed(id, () => {
      const names = existsSync(caches) ? readdirSync(caches, { recursive: true }) as Array<string> : []
      return rows(join(caches, dirname(names.find((name) => name.endsWith("log.jsonl")) ?? "")))
    })
    const copy = join(folder, "remote")
    await Effect.runPromise(
      RemoteRuns.download(url, copy).pipe(
        Effect.provide([NodeServices.layer, ConfigProvider.layer(ConfigProvider.fromUnknown(variables))])
      )
    )
    assert.deepStrictEqual(contents(copy), unbroken)
  })

  it("are given back by Ctrl-C, cancelled with a checkpoint, and resumed, to the same bytes", async () => {
    const { id, out } = await submit("signals")
    const first = await holder(id)
    begin()
    await until(() => rows(out), (count) => count > 2)
    await end(first, "SIGINT")
    assert.strictEqual(first.child.exitCode, 130)
    assert.include(first.told(), `job ${id}: given back, its state is saved`)
    const saved = rows(out)
    const second = await holder(id)
    await until(() => rows(out), (count) => count > saved)
    await ask(({ cancel }) => cancel(id))
    const cancelled = await ended(id)
    assert.strictEqual(cancelled.state, "cancelled")
    assert.isBelow(cancelled.done, 2)
    assert.isFalse(existsSync(join(out, "lock")))
    assert.deepInclude(await ask(({ resume }) => resume(id)), { state: "waiting", failure: null })
    assert.deepInclude(await ended(id), { state: "finished", done: 2 })
    assert.include(second.told(), `job ${id}: cancelled, its state is saved`)
    assert.deepStrictEqual(contents(out), unbroken)
    const again = await ask(({ resume }) => Effect.flip(resume(id)))
    assert.include(again.message, `job ${id} is finished, and not cancelled or failed`)
  })

  it("go on when all workers are killed, and the database is killed and started again", async () => {
    const { id, out } = await submit("all")
    const followed = ask(({ follow }) => Stream.runCollect(follow(id)))
    await until(() => rows(out), (count) => count > EVERY)
    await Promise.all(workers.map((worker) => end(worker, "SIGKILL")))
    const logged = rows(out)
    begin(HASTY)
    await until(() => rows(out), (count) => count > logged)
    await postgres.kill()
    await setTimeout(300)
    await postgres.start()
    assert.strictEqual((await followed).at(-1)!.state, "finished")
    assert.deepStrictEqual(contents(out), unbroken)
  })

  it("are safe from a worker that is stopped beyond its lease and goes on", async () => {
    const { id, out } = await submit("stopped")
    const first = await holder(id)
    const second = begin(HASTY)
    await until(() => rows(out), (count) => count > EVERY)
    first.child.kill("SIGSTOP")
    await until(() => second.told(), (told) => told.includes("begins with step"))
    first.child.kill("SIGCONT")
    assert.deepInclude(await ended(id), { state: "finished", done: 2, failure: null })
    const letGo = new RegExp(`job ${id}: (another worker has it|tokenizer: stopped after step)`)
    await until(() => first.told(), (told) => letGo.test(told))
    assert.deepStrictEqual(contents(out), unbroken)
    const next = await submit("next", 0)
    assert.strictEqual((await ended(next.id)).state, "finished")
  })

  it("are shared by workers, and lose only a shard where a helper is killed, or the worker that has them", async () => {
    while (workers.filter(({ child }) => child.exitCode === null && child.signalCode === null).length < 4) begin()
    const out = join(folder, "shards")
    const id = await store.runPromise(Stages.submit(shared, { out, millis: 0, gpu: false }))
    const begun = () => workers.flatMap(({ told }) => told().match(/begins shard \d+/g) ?? []).length
    const killed = async (name: string) => {
      const pid = Number(name.split(":").at(-1))
      await end(workers.find(({ child }) => child.pid === pid)!, "SIGKILL")
    }
    const { helpers, worker } = await until(() => ask(({ show }) => show(id)), ({ helpers }) => helpers.length === 3)
    await until(begun, (found) => found >= 4)
    await killed(helpers[0]!)
    await killed(worker!)
    await until(() => ask(({ show }) => show(id)), (job) => job.worker !== worker)
    writeFileSync(`${out}-open`, "")
    const job = await ended(id)
    assert.deepInclude(job, { state: "finished", failure: null })
    assert.deepInclude(job.progress, { stage: "shards", step: SHARDS, total: SHARDS })
    for (let shard = 0; shard < SHARDS; shard++) {
      const [first, second] = readFileSync(join(out, `shard-${String(shard).padStart(5, "0")}.bin`))
      assert.deepStrictEqual([first, second], [shard, 2 * shard])
    }
    assert.isBelow(begun(), 2 * SHARDS)
  })

  it("are handed in, done and shown by the command line", async () => {
    const [images, out, config] = ["images", "lines", "config.json"].map((name) => join(folder, name))
    await draw(images!)
    writeFileSync(config!, JSON.stringify(Schema.encodeSync(Preset)(micro({ duration: 3, warmup: 1 }))))
    const asked = (...words: ReadonlyArray<string>) =>
      Effect.runPromise(said("jobs", ...words, "--store", postgres.url).pipe(Effect.provide(NodeServices.layer)))
    const given = ["--images", images!, "--out", out!, "--config", config!, "--tests", "test", "--json"]
    const { job } = JSON.parse(await asked("submit", "--stages", "tokenizer,pretrain,knn", "--threads", "1", ...given))
    rmSync(config!)
    const worker = watched(
      start("src/cli/bin.ts", ["jobs", "worker", "--host", "127.0.0.1", "--store", postgres.url])
    )
    assert.match(await asked("follow", String(job)), new RegExp(`\njob ${job}: finished, stages done 3 of 3$`))
    assert.include(await asked("list"), out!)
    assert.include(await asked("show", String(job)), "tokenizer, pretrain, knn (3 of 3 done)")
    assert.deepStrictEqual(readdirSync(join(out!, "stages")).toSorted(), [
      "pretrain.json",
      "pretrain.safetensors",
      "tokenizer.json",
      "tokenizer.safetensors"
    ])
    assert.isNotEmpty(readdirSync(join(out!, "results")))
    await end(worker, "SIGINT")
    assert.include(worker.told(), "this goes on: patchword jobs worker")
    const missing = await Effect.runPromise(
      Effect.flip(said("jobs", "show", "999", "--store", postgres.url)).pipe(Effect.provide(NodeServices.layer))
    )
    assert.include(String(missing), "there is no job 999")
    assert.notInclude(String(missing), PASSWORD)
  })

  it("tell no password", () => {
    for (const { told } of workers) assert.notInclude(told(), PASSWORD)
  })
})
