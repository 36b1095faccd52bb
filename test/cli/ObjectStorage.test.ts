import { NodeServices } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import { ConfigProvider, Console, Context, Effect, Exit, Layer, Runtime } from "effect"
import { Argument, Command } from "effect/cli"
import * as WorkflowEngine from "effect/workflow/WorkflowEngine"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import * as CommandRun from "../../src/cli/commands/jobs/CommandRun.ts"
import * as RunPlace from "../../src/cli/flags/RunPlace.ts"
import { patchword } from "../../src/cli/patchword.ts"
import * as Job from "../../src/jobs/Job.ts"
import * as Stages from "../../src/jobs/Stages.ts"
import * as Files from "../../src/layers/files/Files.ts"
import * as Progress from "../../src/layers/run/Progress.ts"
import * as Runs from "../../src/layers/run/Runs.ts"
import * as RemoteRuns from "../../src/layers/storage/RemoteRuns.ts"
import { filesOf } from "../layers/run/files.ts"
import { serve, type Server } from "../layers/storage/s3Server.ts"
import { recording } from "../pipelines/kit.ts"
import { draw, found, hearing, said, writeConfig } from "./kit.ts"

const folder = mkdtempSync(join(tmpdir(), "patchword-addresses-"))
const at = (...names: ReadonlyArray<string>) => join(folder, ...names)
const images = ["--images", at("images"), "--threads", "1"]
const common = ["--config", at("config.yaml"), ...images]
const one = "s3://bucket/runs/one"
const SECRET = "hidden/secret"

class Storage extends Context.Service<Storage, Server>()("test/Storage") {}

const storage = Layer.effect(Storage, serve)

const environment = Layer.unwrap(
  Effect.map(Storage, ({ endpoint }) =>
    ConfigProvider.layer(ConfigProvider.fromUnknown({
      AWS_ACCESS_KEY_ID: "me",
      AWS_SECRET_ACCESS_KEY: SECRET,
      AWS_SESSION_TOKEN: `${SECRET}/token`,
      AWS_ENDPOINT_URL_S3: endpoint,
      XDG_CACHE_HOME: at("caches")
    })))
)

const machine = Layer.mergeAll(NodeServices.layer, environment).pipe(Layer.provideMerge(storage))

let copies = 0

const stored = Effect.fnUntraced(function*(url: string) {
  const copy = at(`copy-${copies++}`)
  yield* RemoteRuns.download(url, copy)
  return filesOf(copy)
})

const LASTING = /^(?:config\.json|log\.jsonl|stages\/|results\/)/

const lasting = (files: Readonly<Record<string, string>>) =>
  Object.fromEntries(
    Object.entries(files).filter(([name]) => LASTING.test(name)).map(([name, content]) => [name, Files.sha256(content)])
  )

const refused = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  const error = (yield* Effect.flip(said(...args))) as Error & { readonly [Runtime.errorExitCode]: number }
  return { message: error.message, code: error[Runtime.errorExitCode] }
})

beforeAll(async () => {
  writeConfig(at("config.yaml"))
  await draw(at("images"))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

layer(machine, { excludeTestServices: true })("an address of object storage", (it) => {
  it.effect("takes the place of run folders, with the same bytes", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const heard = <A, E, R>(self: Effect.Effect<A, E, R>) => hearing(told)(self)
      const tokenizer = yield* heard(found("tokenizer", "train", ...common, "--out", one))
      assert.strictEqual(tokenizer.weights, `${one}/stages/tokenizer.safetensors`)
      assert.include(
        told.join("\n"),
        `${one} is trained in a copy, which is stored with each checkpoint (0 files, 0 bytes)`
      )
      yield* heard(found("pretrain", "--tokenizer", one, ...common, "--out", one))
      assert.include(told.join("\n"), `configuration: of the run ${one};`)
      const probed = yield* heard(found("probe", `${one}/pretrain`, "--tests", "val", ...images))
      assert.match(String(probed.results), /^s3:\/\/bucket\/runs\/one\/results\/probe-val-[0-9a-f]+\.json$/)

      const local = at("runs", "one")
      yield* found("tokenizer", "train", ...common, "--out", local)
      yield* found("pretrain", "--tokenizer", local, ...common, "--out", local)
      yield* found("probe", `${local}/pretrain`, "--tests", "val", ...images)
      const files = yield* stored(one)
      assert.deepStrictEqual(lasting(files), lasting(filesOf(local)))

      assert.strictEqual(
        yield* said("encode", one, "--split", "val", ...images),
        yield* said("encode", local, "--split", "val", ...images)
      )
      const { objects } = yield* Storage
      const everything = [...objects.values(), ...told].map(String).join("\n")
      assert.notInclude(everything, SECRET)
      assert.notInclude(told.join("\n"), at("caches"))
      assert.notInclude([...objects.values()].map(String).join("\n"), at("caches"))
      assert.deepStrictEqual(readdirSync(at("caches", "patchword", "storage")), [])
    }), 120_000)

  it.effect("is read by the verbs that look at runs, which may note something", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const { runs } = yield* hearing(told)(found("runs", "list", "s3://bucket/runs"))
      const [listed] = runs as ReadonlyArray<
        { readonly path: string; readonly state: string; readonly changed: string }
      >
      assert.deepInclude(listed, { path: one, state: "finished", changed: "2025-11-01T10:00:00.000Z" })
      assert.match(told.join("\n"), /^s3:\/\/bucket\/runs: 1 run is read from a copy \(\d+ files, [\d.]+ [KM]iB\)$/m)
      assert.match(
        yield* said("runs", "list", "s3://bucket/runs"),
        /^run {19}state +stage .*\ns3:\/\/bucket\/runs\/one {2}finished /
      )
      assert.deepInclude(yield* refused("runs", "list", "s3://bucket/none"), {
        message: "s3://bucket/none: there is no run; choose another address",
        code: 66
      })
      yield* found("runs", "tag", one, "paper")
      yield* found("runs", "note", one, "s3://bucket/elsewhere")
      const shown = yield* found("runs", "show", one)
      assert.deepStrictEqual([shown.path, shown.tags], [one, ["paper"]])
      const { runs: diffed } = yield* found("runs", "diff", one, one)
      assert.strictEqual((diffed as ReadonlyArray<unknown>).length, 2)
      assert.include(yield* said("inspect", `${one}/stages/pretrain.safetensors`), `${one}/stages/pretrain.safetensors`)
      yield* Effect.exit(said("doctor", one))
      assert.property(yield* stored(one), "health.json")
      yield* said("studio", "s3://bucket/runs", "--export", at("runs.html"))
      assert.include(readFileSync(at("runs.html"), "utf8"), one)
      assert.notInclude(readFileSync(at("runs.html"), "utf8"), at("caches"))
    }))

  it.effect("is followed by a page that is open, also to new runs", () =>
    Effect.gen(function*() {
      const { objects } = yield* Storage
      const runs = Argument.variadic(Argument.String("runs"))
      const looking = RunPlace.command("look", { runs: "measured" }, { runs }, (given) =>
        Effect.gen(function*() {
          const renew = (yield* RunPlace.Renewal)!
          yield* Effect.orDie(found("runs", "note", one, "later"))
          for (const [key, content] of objects) {
            objects.set(key.replace("bucket/runs/one/", "bucket/runs/new/"), content)
          }
          yield* renew
          const files = filesOf(given.runs[0]!)
          assert.include(files["one/notes.jsonl"], "later")
          assert.include(files["new/notes.jsonl"], "later")
          writeFileSync(join(given.runs[0]!, "one", "notes.jsonl"), `${files["one/notes.jsonl"]}\n`)
          yield* renew
          assert.strictEqual(
            (yield* Effect.orDie(stored(one)))["notes.jsonl"],
            `${files["one/notes.jsonl"]}\n`
          )
          for (const key of objects.keys()) if (key.startsWith("bucket/runs/new/")) objects.delete(key)
        }))
      yield* Effect.orDie(Command.runWith(looking, { version: "0" })(["s3://bucket/runs"])).pipe(
        Effect.provideService(Console.Console, { ...globalThis.console, error: () => {} })
      )
    }))

  it.effect("is continued from, and named in what continues", () =>
    Effect.gen(function*() {
      const longer = ["--set", "tokenizer.optimizer.duration=3", "--continue", `${one}@finished`]
      yield* found("tokenizer", "train", ...common, ...longer, "--out", at("longer"))
      const { continuedFrom } = JSON.parse(readFileSync(at("longer", "environment.json"), "utf8"))
      assert.deepInclude(continuedFrom.tokenizer, { run: one, step: 2 })
      const other = yield* refused("tokenizer", "evaluate", one, ...images, "--teacher", `run:${one}/pretrain`)
      assert.include(other.message, "--teacher: expected the teacher hog")
    }))

  it.effect("is refused where files of this machine belong, and where there is no run", () =>
    Effect.gen(function*() {
      const files = yield* Effect.forEach([
        ["encode", one, "--out", "s3://bucket/codes.safetensors"],
        ["probe", one, "--images", "s3://bucket/images"],
        ["pull", "someone/beit", "--out", "s3://bucket/beit"],
        ["study", "table5", "--out", "s3://bucket/study"],
        ["tokenizer", "train", "--teacher", "clip:s3://bucket/clip.safetensors", "--out", one],
        ["tokenizer", "cache", "s3://bucket/cache"],
        ["jobs", "submit", "--store", at("store"), "--images", "s3://bucket/images", "--out", one]
      ], (args) => refused(...args))
      for (const { code, message } of files) {
        assert.match(message, /^--[\w-]+: expected a place on this machine, got (?:clip:)?s3:\/\/bucket\//)
        assert.strictEqual(code, 64)
      }
      const places = ["S3://bucket/runs/two", "s3:/bucket/runs/two", "s3://bucket", "s3://bucket/", "s3://bucket/b//c"]
      for (const out of places) {
        const { code, message } = yield* refused("tokenizer", "train", ...common, "--out", out)
        assert.match(message, /^--out: expected s3:\/\/BUCKET\/PREFIX, got s3:\//i)
        assert.strictEqual(code, 64)
      }
      assert.strictEqual((yield* refused("runs", "show", "S3://bucket/runs/one")).code, 64)
      assert.deepInclude(yield* refused("runs", "list", "s3://"), {
        message:
          "--folders: expected s3://BUCKET/PREFIX, got s3://; write the address like this, with one / between its parts and without the parts . " +
          "and ..",
        code: 64
      })
      for (
        const words of [["encode"], ["runs", "show"], ["inspect"], ["pretrain", ...common, "--out", one, "--tokenizer"]]
      ) {
        assert.deepStrictEqual(yield* refused(...words, "s3://bucket/none"), {
          message: "s3://bucket/none: there is no run; choose another address",
          code: 66
        })
      }
      assert.deepStrictEqual(yield* refused("tokenizer", "train", ...common, "--out", `${one}/stages`), {
        message: `${one}/stages: this address lies in the run ${one}; choose an address outside of it`,
        code: 73
      })
      assert.strictEqual((yield* refused("runs", "list", "s3://other/runs")).code, 69)
    }))

  it.effect("keeps its runs apart in a list, and is only read by verbs that read", () =>
    Effect.gen(function*() {
      const server = yield* Storage
      const copy = (name: string) => {
        for (const [key, content] of server.objects) {
          if (key.startsWith("bucket/runs/one/")) server.objects.set(key.replace("runs/one/", `many/${name}/`), content)
        }
      }
      const names = ["b/c", "Run", "run", "\u00e9", "e\u0301"]
      for (const name of [...names, "b//c"]) copy(name)
      for (const name of ["bad", "lacking"]) copy(name)
      server.objects.set("bucket/many/bad/run.json", Buffer.from("{}"))
      for (const key of server.objects.keys()) {
        if (key.startsWith("bucket/many/lacking/files/")) server.objects.delete(key)
      }
      const before = new Map(server.objects)
      const told: Array<string> = []
      const { runs } = yield* hearing(told)(found("runs", "list", "s3://bucket/many"))
      const paths = (runs as ReadonlyArray<{ readonly path: string }>).map(({ path }) => path)
      assert.sameMembers(paths, names.map((name) => `s3://bucket/many/${name}`))
      const lines = told.filter((line) => line.startsWith("left out: "))
      assert.include(lines.join("\n"), "s3://bucket/many/b//c has a part that is empty, . or ..")
      assert.include(lines.join("\n"), "s3://bucket/many/bad/run.json: it is no list of the files of a run")
      assert.match(lines.join("\n"), /s3:\/\/bucket\/many\/lacking\/files\/\S+: it is missing/)
      assert.strictEqual(lines.length, 3)

      const many = Argument.variadic(Argument.String("runs"))
      const writing = RunPlace.command("look", { runs: "networks" }, { runs: many }, (given) =>
        Effect.gen(function*() {
          const [list] = given.runs
          const files = Object.keys(filesOf(list!)).filter((name) => name.endsWith("config.json"))
          assert.strictEqual(files.length, names.length)
          assert.strictEqual(new Set(files.map((name) => name.normalize().toLowerCase())).size, names.length)
          for (const name of files) writeFileSync(join(list!, name.replace("config.json", "notes.jsonl")), "changed\n")
          const renew = (yield* RunPlace.Renewal)!
          for (const key of server.objects.keys()) if (key.startsWith("bucket/many/b/c/")) server.objects.delete(key)
          copy("later")
          yield* renew
          yield* renew
          const now = Object.keys(filesOf(list!)).filter((name) => name.endsWith("config.json"))
          assert.strictEqual(now.length, names.length)
          assert.include(now, "later/config.json")
          assert.notInclude(now, "b/c/config.json")
        }))
      const renewing: Array<string> = []
      yield* Effect.orDie(Command.runWith(writing, { version: "0" })(["s3://bucket/many"])).pipe(
        Effect.provideService(Console.Console, { ...globalThis.console, error: (text: string) => renewing.push(text) })
      )
      assert.deepStrictEqual(renewing.filter((line) => line.startsWith("not renewed")), [
        "not renewed: s3://bucket/many/b/c: there is no run"
      ])
      yield* found("runs", "show", "s3://bucket/many/Run")
      for (const [key, content] of before) {
        if (!key.startsWith("bucket/many/b/c/")) assert.isTrue(server.objects.get(key) === content, key)
      }
      for (const key of server.objects.keys()) if (key.startsWith("bucket/many/")) server.objects.delete(key)
    }))

  it.effect("is said to be trained when the training begins", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const wrong = ["--set", "tokenizer.optimizer.lr=0.5", "--out", one]
      yield* hearing(told)(Effect.flip(said("tokenizer", "train", ...common, ...wrong)))
      assert.notInclude(told.join("\n"), "is trained in a copy")
    }))

  it.effect("that is lost at the end of a training is told once, with the place of the last changes", () =>
    Effect.gen(function*() {
      const server = yield* Storage
      const url = "s3://bucket/runs/lost"
      const told: Array<string> = []
      const losing = recording([], () => Effect.sync(() => void (server.before = () => "refuse")))
      const { message } = yield* hearing(told)(
        Effect.provideService(refused("tokenizer", "train", ...common, "--out", url), Progress.Progress, losing)
      ).pipe(Effect.ensuring(Effect.sync(() => void (server.before = () => undefined))))
      assert.include(message, "the server refused (403")
      const text = told.join("\n")
      assert.strictEqual(text.split("the server refused").length, 2)
      assert.match(text, /the last changes were not stored\. They are in \S+kept-\w+\/0\/bucket\/runs\/lost\./)
      rmSync(at("caches", "patchword", "storage"), { recursive: true })
      for (const key of server.objects.keys()) if (key.startsWith("bucket/runs/lost/")) server.objects.delete(key)
    }))

  it.effect("is as it was where a command is refused, whatever for", () =>
    Effect.gen(function*() {
      const server = yield* Storage
      const before = new Map(server.objects)
      const changes: Array<string> = []
      server.before = ({ key, method }) => {
        if (method !== "GET") changes.push(`${method} ${key}`)
      }
      const none = "s3://bucket/runs/none"
      const codes = yield* Effect.forEach(
        [
          [64, "tokenizer", "train", ...common, "--set", "tokenizer.optimizer.lr=-1", "--out", none],
          [66, "tokenizer", "train", "--config", at("config.yaml"), "--images", at("nowhere"), "--out", none],
          [66, "tokenizer", "train", ...common, "--continue", at("nowhere"), "--out", none],
          [66, "pretrain", "--tokenizer", at("nowhere"), ...common, "--out", none],
          [66, "finetune", "--from", at("nowhere"), ...common, "--out", none],
          [66, "finetune", "--from", one, ...common, "--tests", "nowhere", "--out", none],
          [66, "segment", "--from", one, "--preset", "tiny", ...images, "--out", none],
          [66, "decoder", "train", "--tokenizer", one, ...common, "--out", none],
          [64, "demo", "--config", at("config.yaml"), "--set", "knn.neighbours=0", "--out", none],
          [64, "study", "table5", ...common, "--out", none],
          [73, "tokenizer", "train", ...common, "--set", "tokenizer.optimizer.lr=0.5", "--out", one],
          [73, "pretrain", "--tokenizer", one, ...common, "--split", "val", "--out", one]
        ] as const,
        ([code, ...args]) => Effect.map(refused(...args), (found) => [found.code, code, found.message])
      )
      assert.deepStrictEqual(codes.filter(([found, code]) => found !== code), [])
      server.before = () => undefined
      assert.deepStrictEqual(changes, [])
      assert.deepStrictEqual(server.objects, before)
      assert.deepStrictEqual(readdirSync(at("caches", "patchword", "storage")), [])
    }), 120_000)

  it.effect("belongs to one process, until a worker takes it over, is stopped, and its job goes on", () =>
    Effect.gen(function*() {
      const { objects } = yield* Storage
      const two = "s3://bucket/runs/two"
      const words = ["tokenizer", "train", ...common, "--out", two]
      const context = yield* Effect.context<Effect.Services<ReturnType<typeof said>>>()
      const second: Array<unknown> = []
      const takenOver = Effect.gen(function*() {
        second.push(yield* refused(...words))
        const [listed] = (yield* found("runs", "list", two)).runs as ReadonlyArray<object>
        assert.deepInclude(listed, { path: two, state: "running" })
        const stopping = recording([], () => Effect.interrupt)
        const exit = yield* said(...words).pipe(
          Effect.provideService(Progress.Progress, stopping),
          Effect.provideService(Runs.TakeOver, true),
          Effect.exit
        )
        assert.isTrue(Exit.hasInterrupts(exit))
        const { files, number, owner } = JSON.parse(String(objects.get("bucket/runs/two/run.json")))
        assert.deepStrictEqual([number, owner], [2, null])
        assert.property(files, "checkpoints/tokenizer/step-00000001/state.json")
      })
      const taking = recording(
        [],
        ({ step }) => step === 1 ? Effect.orDie(Effect.provideContext(takenOver, context)) : Effect.void
      )
      const lost = yield* Effect.provideService(refused(...words), Progress.Progress, taking)
      const owners = "this process was owner 1 of the folder, and its owner has number 2 now"
      assert.include(lost.message, `${two}/run.json: ${owners}`)
      const busy =
        `run folder ${two}: another part of this process is using it; build one layer of the folder and share it`
      assert.deepStrictEqual([lost.code, ...second], [73, { message: busy, code: 73 }])

      const run = CommandRun.make(() => patchword)
      const line = { name: "tokenizer", words, configured: false }
      const seen: Array<string> = []
      const job = { out: two, config: null, needs: Job.ANY, lines: [line] }
      const outcome = yield* Stages.execute(run, job).pipe(
        Effect.provide(Layer.provideMerge(run.layer, WorkflowEngine.layerMemory)),
        Effect.provideService(Console.Console, { ...globalThis.console, log: () => {}, error: () => {} }),
        Effect.provideService(Progress.Progress, recording(seen))
      )
      assert.deepStrictEqual([outcome, seen], ["done", ["tokenizer 2"]])
      const [whole, resumed] = yield* Effect.all([stored(one), stored(two)])
      const rows = (files: Readonly<Record<string, string>>) =>
        files["log.jsonl"]!.split("\n").filter((row) => row.includes("tokenizer"))
      assert.deepStrictEqual(rows(resumed), rows(whole))
      assert.isTrue(resumed["stages/tokenizer.safetensors"] === whole["stages/tokenizer.safetensors"])
    }))
})

describe("without object storage", () =>
  it.effect("an address says which credentials are missing", () =>
    Effect.gen(function*() {
      const { code, message } = yield* refused("encode", one)
      assert.include(message, "AWS_ACCESS_KEY_ID is missing")
      assert.strictEqual(code, 69)
    }).pipe(Effect.provide([NodeServices.layer, ConfigProvider.layer(ConfigProvider.fromUnknown({}))]))))
