import { NodePath, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Clock, ConfigProvider, Duration, Effect, Exit, FileSystem, Layer, Option, type Path, Runtime } from "effect"
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import * as Files from "../../../src/layers/files/Files.ts"
import * as Checkpoints from "../../../src/layers/run/Checkpoints.ts"
import * as Results from "../../../src/layers/run/Results.ts"
import * as Runs from "../../../src/layers/run/Runs.ts"
import * as RemoteRuns from "../../../src/layers/storage/RemoteRuns.ts"
import * as S3 from "../../../src/layers/storage/S3.ts"
import { filesOf } from "../run/files.ts"
import { config, snapshot, stage, unflushed } from "../run/snapshot.ts"
import { stopsOf } from "../run/stops.ts"
import { digestOf } from "../weights/digestOf.ts"
import { serve, type Server } from "./s3Server.ts"
import { Endpoint, onServers } from "./servers.ts"

const saved = (step: number, by: string, numbers = 2) => snapshot(step, by, new Float32Array(numbers).fill(step))

const step = Effect.fnUntraced(function*(number: number, by: string, numbers?: number) {
  yield* Runs.Runs.use(({ log }) => log({ stage, step: number, by }))
  yield* Checkpoints.Checkpoints.use(({ save }) => save(saved(number, by, numbers)))
})

const hasty = Layer.effect(FileSystem.FileSystem, Effect.map(FileSystem.FileSystem, unflushed)).pipe(
  Layer.provide(NodeServices.layer)
)

const environment = (endpoint: string, home: string) =>
  ConfigProvider.layer(ConfigProvider.fromUnknown({
    AWS_ACCESS_KEY_ID: "me",
    AWS_SECRET_ACCESS_KEY: "hidden secret",
    AWS_ENDPOINT_URL_S3: endpoint,
    XDG_CACHE_HOME: home
  }))

interface Place {
  readonly url: string
  readonly provided: Layer.Layer<never>
  readonly home: string
  readonly opened: <A, E>(
    self: Effect.Effect<A, E, Runs.Runs | Checkpoints.Checkpoints>,
    options?: Partial<Runs.Options>
  ) => Effect.Effect<A, E | S3.S3Error | Runs.RunsError | Checkpoints.CheckpointsError>
  readonly stored: Effect.Effect<Readonly<Record<string, string>>>
}

const at = <A, E, R>(
  endpoint: string,
  use: (place: Place) => Effect.Effect<A, E, R>,
  url = "s3://bucket/runs/one"
) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const home = yield* fs.makeTempDirectoryScoped()
    const provided = environment(endpoint, home)
    const copy = join(home, "copy")
    return yield* use({
      url,
      home,
      provided,
      opened: (self, options) =>
        self.pipe(
          Effect.provide(RemoteRuns.layerNoDeps(url, { config, ...options }), { local: true }),
          Effect.provide([hasty, NodePath.layer, provided], { local: true })
        ),
      stored: RemoteRuns.download(url, copy).pipe(
        Effect.map(() => filesOf(copy)),
        Effect.provide([Files.layerNode, provided], { local: true }),
        Effect.orDie
      )
    })
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

const onServer = <E>(use: (place: Place & { readonly server: Server }) => Effect.Effect<void, E>) =>
  Effect.scoped(Effect.flatMap(serve, (server) => at(server.endpoint, (place) => use({ ...place, server }))))

const copied = Effect.fnUntraced(
  function*({ home, url }: Place, name: string, partOf?: (name: string) => RemoteRuns.Part) {
    const folder = join(home, name)
    const { files, renew, store } = yield* RemoteRuns.copy(url, folder, partOf)
    return { files, folder, renew, store }
  },
  (self, { provided }) => Effect.provide(self, [NodeServices.layer, provided], { local: true })
)

const hurried = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Clock.Clock, (clock) => {
    const sleep = (time: Duration.Duration) => Duration.toMillis(time) < 60_000 ? Effect.void : clock.sleep(time)
    return Effect.provideService(self, Clock.Clock, Object.assign(Object.create(clock) as Clock.Clock, { sleep }))
  })

const noted = (folder: string, text: string) => appendFileSync(join(folder, "notes.jsonl"), `${text}\n`)

const reasonOf = (error: S3.S3Error | Runs.RunsError | Checkpoints.CheckpointsError) => error.reason

describe("Runs on object storage", () => {
  it.live("go on from their checkpoints in another process, and leave nothing on its disk", () =>
    onServer(Effect.fnUntraced(function*({ home, opened, server, stored }) {
      yield* opened(Effect.andThen(step(1, "first"), step(2, "first")))
      const kept = yield* stored
      assert.includeMembers(Object.keys(kept), [
        "config.json",
        "log.jsonl",
        "checkpoints/pretrain/step-00000001/state.json",
        "checkpoints/pretrain/step-00000002/weights.safetensors"
      ])
      const copy = join(home, "copy")
      assert.deepStrictEqual(
        yield* Effect.provide(Results.runOf(copy), NodeServices.layer),
        Option.some(copy)
      )
      yield* opened(Effect.gen(function*() {
        const { read, steps } = yield* Checkpoints.Checkpoints
        assert.deepStrictEqual(yield* steps(stage), [1, 2])
        assert.deepStrictEqual(yield* read(stage, 2), saved(2, "first"))
        yield* step(3, "second")
        yield* Runs.Runs.use(({ done }) => done(stage, { loss: 1 }))
      }))
      const files = yield* stored
      assert.isUndefined(files["checkpoints/pretrain/step-00000001/state.json"])
      assert.strictEqual(files["log.jsonl"]!.split("\n").length, 4)
      const { files: named, number, owner } = JSON.parse(String(server.objects.get("bucket/runs/one/run.json")))
      assert.deepStrictEqual([number, owner], [2, null])
      const keys = new Set(Object.values<{ key: string }>(named).map(({ key }) => `bucket/runs/one/${key}`))
      assert.deepStrictEqual(new Set(server.objects.keys()), keys.add("bucket/runs/one/run.json"))
      assert.deepStrictEqual(readdirSync(join(home, "patchword/storage")), [])
    })))

  it.live("refuse what an owner stores that was stopped at any of its requests", () =>
    onServer(Effect.fnUntraced(function*({ opened, server, stored }) {
      const once = Effect.fnUntraced(function*(stop: number) {
        server.objects.clear()
        let requests = Infinity
        let after: Readonly<Record<string, string>> | undefined
        const successor = Effect.gen(function*() {
          const last = (yield* Checkpoints.Checkpoints.use(({ steps }) => steps(stage))).at(-1)!
          yield* step(last + 1, "second")
        })
        server.before = () =>
          requests-- === 0
            ? Effect.runPromise(
              opened(successor, { takeOver: true }).pipe(
                Effect.andThen(stored),
                Effect.map((files) => void (after = files)),
                Effect.orDie
              )
            )
            : undefined
        let left = 0
        const exit = yield* Effect.exit(opened(Effect.gen(function*() {
          yield* step(1, "first")
          requests = stop
          yield* step(2, "first")
          left = requests
        })))
        requests = Infinity
        if (left > 0) return stop - left
        assert.deepStrictEqual(yield* stored, after, `request ${stop}`)
        if (Exit.isFailure(exit)) {
          assert.isTrue(
            Files.isSuperseded(Option.getOrThrow(Exit.findErrorOption(exit))),
            `request ${stop}: ${exit.cause}`
          )
        }
        return undefined
      })
      const requests = yield* once(1000)
      assert.isDefined(requests)
      for (const stop of stopsOf(requests + 1)) assert.isUndefined(yield* once(stop), `request ${stop}`)
    })))

  it.live("are refused to a second owner, except by force", () =>
    onServer(Effect.fnUntraced(function*({ opened }) {
      const late = yield* opened(Effect.gen(function*() {
        const { log } = yield* Runs.Runs
        yield* opened(Effect.gen(function*() {
          yield* step(1, "other")
          const error = yield* Effect.flip(log({ stage, step: 1 }))
          assert.strictEqual(error.reason._tag, "Locked")
        }))
        return yield* Effect.flip(log({ stage, step: 1 }))
      }))
      assert.include(late.message, "another process has changed run.json meanwhile")
      yield* opened(Effect.gen(function*() {
        yield* step(1, "first")
        const error = yield* Effect.flip(opened(step(1, "second")))
        assert.include(error.message, "s3://bucket/runs/one: another part of this process is using it")
        assert.strictEqual(error[Runtime.errorExitCode], 73)
        yield* opened(step(2, "second"), { takeOver: true })
        const superseded = yield* Effect.flip(step(3, "first"))
        assert.include(
          superseded.message,
          "s3://bucket/runs/one/run.json: this process was owner 2 of the folder, and its owner has number 3 now"
        )
      }))
    })))

  it.live("get an owner with their first change, who spoils nothing that another process did before", () =>
    onServer(Effect.fnUntraced(function*(place) {
      const { opened, server, stored } = place
      const next = (by: string) =>
        Effect.flatMap(
          Checkpoints.Checkpoints.use(({ steps }) => steps(stage)),
          (steps) => step(steps.at(-1)! + 1, by)
        )
      const once = Effect.fnUntraced(function*<A, E>(stop: number, meanwhile: Effect.Effect<A, E>) {
        server.objects.clear()
        yield* opened(step(1, "zero"))
        let requests = 0
        let other: Exit.Exit<A, E> | undefined
        const ofList: Array<number> = []
        server.before = async ({ key }) => {
          if (key.endsWith("run.json")) ofList.push(requests)
          if (requests++ === stop) other = await Effect.runPromiseExit(meanwhile)
        }
        const own = yield* Effect.exit(opened(next("first")))
        server.before = () => undefined
        const files = yield* stored
        const by = files["log.jsonl"]!.match(/(?<="by":")\w+/g)
        const isDone = other !== undefined && Exit.isSuccess(other)
        return { by, own, isDone, notes: files["notes.jsonl"], ofList }
      })
      const { ofList } = yield* once(1000, Effect.void)
      const seen = new Set<string>()
      for (const stop of ofList) {
        const { by, isDone, own } = yield* once(stop, opened(next("second")))
        const expected = ["zero", ...(isDone ? ["second"] : []), ...(Exit.isSuccess(own) ? ["first"] : [])]
        assert.deepStrictEqual<unknown>(by, expected, `request ${stop}`)
        if (Exit.isFailure(own)) {
          const error = Option.getOrThrow(Exit.findErrorOption(own))
          assert.strictEqual(error[Runtime.errorExitCode], 73)
          assert.include(error.message, "another process has changed run.json meanwhile")
        }
        seen.add(by!.join(" "))
      }
      assert.deepStrictEqual([...seen].toSorted(), ["zero first", "zero second", "zero second first"])
      for (const stop of ofList.slice(1, 3)) {
        const guest = Effect.gen(function*() {
          const { folder, store } = yield* copied(place, `guest-${stop}`)
          noted(folder, "seen")
          yield* store
        })
        const found = yield* once(stop, guest)
        assert.deepInclude<unknown>(found, { by: ["zero", "first"], isDone: true, notes: "seen\n" }, `request ${stop}`)
      }
    })))

  it.live("bear servers that fail and answers that are lost, and take large files part by part", () =>
    onServer(Effect.fnUntraced(function*({ opened, server, stored }) {
      const failed = new Set<string>()
      const parts: Array<string> = []
      server.before = async ({ key, method, query }) => {
        if (query.has("partNumber")) parts.push(query.get("partNumber")!)
        const name = `${method} ${key} ${query}`
        if (failed.has(name) || failed.size > 7) return
        failed.add(name)
        return key.endsWith("run.json") && method === "PUT" ? "cut" : "fail"
      }
      const numbers = 17 * 2 ** 18
      yield* opened(step(1, "first", numbers))
      server.before = () => undefined
      assert.deepStrictEqual([...new Set(parts)].toSorted(), ["1", "2"])
      yield* opened(Effect.gen(function*() {
        const { read } = yield* Checkpoints.Checkpoints
        assert.strictEqual(
          digestOf((yield* read(stage, 1)).weights),
          digestOf(saved(1, "first", numbers).weights)
        )
      }))
      assert.include((yield* stored)["log.jsonl"], "\"first\"")
    })))

  it.live("say what is wrong with the address, the credentials and the objects", () =>
    onServer(Effect.fnUntraced(function*({ opened, server, url }) {
      const provided = (given: Record<string, string>, place = url) =>
        RemoteRuns.download(place, "never").pipe(
          Effect.flip,
          Effect.provide([Files.layerNode, ConfigProvider.layer(ConfigProvider.fromUnknown(given))], { local: true })
        )
      const told = {
        AWS_ACCESS_KEY_ID: "me",
        AWS_SECRET_ACCESS_KEY: "hidden secret",
        AWS_ENDPOINT_URL_S3: "",
        AWS_ENDPOINT_URL: server.endpoint
      }
      const messages = yield* Effect.all([
        provided({ AWS_ACCESS_KEY_ID: "me" }),
        provided(told, "s3://B"),
        provided(told, "s3://other/runs"),
        provided({ ...told, AWS_ACCESS_KEY_ID: "you" }),
        provided(told)
      ])
      assert.deepStrictEqual(messages.map(({ message }) => message.split(";")[0]), [
        "s3://bucket/runs/one: there are no credentials: the variable AWS_SECRET_ACCESS_KEY is missing",
        "s3://B: this is no address of object storage",
        "s3://other/runs/run.json: the server refused (404 NoSuchBucket)",
        "s3://bucket/runs/one/run.json: the server refused (403 AccessDenied)",
        "s3://bucket/runs/one: there is no run"
      ])
      yield* opened(step(1, "first"))
      const key = [...server.objects.keys()].find((name) => name.includes("/files/"))!
      server.objects.set(key, Buffer.from("other"))
      const error = yield* Effect.flip(opened(step(2, "first")))
      assert.strictEqual(reasonOf(error)._tag, "Damaged")
      assert.include(error.message, `s3://${key}: it differs from what was stored`)
      assert.notInclude(JSON.stringify([...messages, error]), "hidden")
    })))

  it.live("take over what others add at any moment of a checkpoint", () =>
    onServer(Effect.fnUntraced(function*(place) {
      const { opened, server, stored } = place
      const once = Effect.fnUntraced(function*(stop: number) {
        server.objects.clear()
        let requests = Infinity
        let added = ""
        server.before = () =>
          requests-- === 0
            ? Effect.runPromise(Effect.gen(function*() {
              const { folder, store } = yield* copied(place, `guest-${stop}`)
              added = readFileSync(join(folder, "log.jsonl"), "utf8")
              mkdirSync(join(folder, "results"))
              writeFileSync(join(folder, "results/knn-val.json"), "{}")
              rmSync(join(folder, "health.json"))
              yield* store
            }))
            : undefined
        let left = 0
        const files = yield* opened(Effect.gen(function*() {
          const { directory } = yield* Runs.Runs
          const folder = Option.getOrThrow(directory)
          writeFileSync(join(folder, "health.json"), "ill")
          yield* step(1, "first")
          requests = stop
          yield* step(2, "first")
          left = requests
          yield* step(3, "first")
          return filesOf(folder)
        }))
        requests = Infinity
        if (left > 0) return stop - left
        assert.isNotEmpty(added)
        const { lock: _, ...own } = files
        assert.deepStrictEqual(Object.keys(yield* stored), Object.keys(own), `request ${stop}`)
        assert.strictEqual(own["results/knn-val.json"], "{}")
        assert.notProperty(own, "health.json")
        assert.property(own, "checkpoints/pretrain/step-00000003/state.json")
        return undefined
      })
      const requests = yield* once(1000)
      assert.isDefined(requests)
      for (const stop of stopsOf(requests)) assert.isUndefined(yield* once(stop), `request ${stop}`)
    })))

  it.live("stay in the caches where their last changes could not be stored, also after others have worked there", () =>
    onServer(Effect.fnUntraced(function*({ home, opened, provided, server }) {
      let isRefusing = false
      server.before = () => isRefusing ? "refuse" : undefined
      const exit = yield* Effect.exit(opened(Effect.gen(function*() {
        yield* step(1, "first")
        isRefusing = true
        yield* Runs.Runs.use(({ log }) => log({ stage, step: 2, by: "lost" }))
      })))
      isRefusing = false
      assert.isTrue(Exit.isSuccess(exit))
      const storage = join(home, "patchword", "storage")
      const [kept, ...others] = readdirSync(storage)
      assert.deepStrictEqual(others, [])
      assert.match(kept!, /^kept-/)
      yield* Effect.scoped(RemoteRuns.workspace).pipe(Effect.provide([NodeServices.layer, provided], { local: true }))
      assert.deepStrictEqual(readdirSync(storage), [kept])
      const rows = Object.entries(filesOf(storage)).find(([name]) => name.endsWith("log.jsonl"))?.[1]
      assert.include(rows, "lost")
    })))

  it.live("get nothing of a checkpoint that goes while somebody copies them", () =>
    onServer(Effect.fnUntraced(function*(place) {
      const { opened, server, stored } = place
      const named = (name: string): RemoteRuns.Part => name.endsWith(".safetensors") ? "name" : "whole"
      const once = Effect.fnUntraced(function*(stop: number) {
        server.objects.clear()
        let requests = Infinity
        let left = 0
        yield* opened(Effect.gen(function*() {
          yield* step(1, "owner")
          yield* step(2, "owner")
          const context = yield* Effect.context<Runs.Runs | Checkpoints.Checkpoints>()
          server.before = () =>
            requests-- === 0
              ? Effect.runPromise(
                step(3, "owner").pipe(Effect.andThen(step(4, "owner")), Effect.provide(context), Effect.orDie)
              )
              : undefined
          requests = stop
          const guest = yield* copied(place, `guest-${stop}`, named)
          noted(guest.folder, "seen")
          yield* guest.store
          left = requests
          requests = Infinity
          yield* step(5, "owner")
        }))
        if (left > 0) return stop - left
        const files = yield* stored
        assert.strictEqual(files["notes.jsonl"], "seen\n", `request ${stop}`)
        const steps = Object.keys(files).flatMap((name) => /step-0*(\d+)\/state/.exec(name)?.[1] ?? [])
        assert.deepStrictEqual(steps, ["4", "5"], `request ${stop}`)
        return undefined
      })
      const requests = yield* once(1000)
      assert.isDefined(requests)
      for (let stop = 0; stop < requests; stop++) assert.isUndefined(yield* once(stop), `request ${stop}`)
    })))

  it.live("take additions only from a folder that was empty, and not after another run has come to the address", () =>
    onServer(Effect.fnUntraced(function*(place) {
      const { opened, server, stored } = place
      yield* opened(Effect.andThen(step(1, "first"), step(2, "first")))
      const guest = yield* copied(place, "guest")
      noted(guest.folder, "seen")
      assert.include((yield* Effect.flip(copied(place, "guest"))).message, "there are files in this folder already")
      server.objects.clear()
      yield* opened(step(3, "other"), { config: { ...config, seed: 2 } })
      const before = yield* stored
      const error = yield* Effect.flip(guest.store)
      assert.include(error.message, "another process has changed run.json meanwhile")
      assert.deepStrictEqual(yield* stored, before)
    })))

  it.live("say once that a training could not store, with the code of its reason", () =>
    onServer(Effect.fnUntraced(function*({ opened, server, url }) {
      const failure = (kind: "refuse" | "fail") =>
        opened(Effect.gen(function*() {
          yield* step(1, "first")
          server.before = () => Promise.resolve(kind)
          return yield* Effect.flip(step(2, "first"))
        })).pipe(Effect.ensuring(Effect.sync(() => void (server.before = () => undefined))), hurried)
      const refused = yield* failure("refuse")
      assert.strictEqual(refused[Runtime.errorExitCode], 69)
      assert.strictEqual(refused.message.split(url).length, 2)
      assert.include(refused.message, "the server refused (403")
      assert.include(refused.message, "check the bucket")
      server.objects.clear()
      const lost = yield* failure("fail")
      assert.strictEqual(lost[Runtime.errorExitCode], 69)
      assert.strictEqual(lost.message.split(url).length, 2)
      assert.strictEqual(lost.message.split("not reached").length, 2)
      assert.include(lost.message, "run the same command again: a training goes on")
    })))

  it.live("tell the cause of a connection that there is not, without the address of the request", () =>
    Effect.gen(function*() {
      const error = yield* RemoteRuns.runOf("s3://bucket/runs/one").pipe(
        Effect.flip,
        Effect.provide([Files.layerNode, environment("http://127.0.0.1:1", "never")], { local: true }),
        hurried
      )
      assert.match(
        error.finding,
        /^s3:\/\/bucket\/runs\/one\S*: the storage was not reached \(connect ECONNREFUSED 127\.0\.0\.1:1\)$/
      )
      assert.strictEqual(error[Runtime.errorExitCode], 69)
    }))

  it.live("tell no credentials, wherever they stand", () =>
    onServer(Effect.fnUntraced(function*({ server }) {
      const failed = (url: string, endpoint: string) =>
        RemoteRuns.runOf(url).pipe(
          Effect.flip,
          Effect.provide([Files.layerNode, environment(endpoint, "never")], { local: true })
        )
      const host = server.endpoint.slice("http://".length)
      const errors = yield* Effect.all([
        failed("s3://bucket/one", `http://me:hidden@${host}`),
        failed("s3://bucket/one", "hidden"),
        failed("s3://me:hidden@bucket/one", server.endpoint),
        failed("s3://bucket/../hidden/..", server.endpoint),
        failed("s3://bucket/b//c", server.endpoint),
        failed("s3://bucket//c", server.endpoint)
      ])
      assert.deepStrictEqual(errors.map(({ reason }) => reason._tag), [
        "EndpointInvalid",
        "EndpointInvalid",
        "AddressInvalid",
        "AddressInvalid",
        "AddressInvalid",
        "AddressInvalid"
      ])
      assert.notInclude(errors.slice(0, 3).map(({ message }) => message).join(" "), "hidden")
    })))
})

describe("A run on", () =>
  onServers((it) => {
    it.effect("passes from owner to owner, with large files", () =>
      Effect.flatMap(Endpoint, ({ endpoint, large }) =>
        at(
          endpoint,
          Effect.fnUntraced(function*({ opened, stored }) {
            const numbers = large ? 17 * 2 ** 18 : 2
            yield* opened(Effect.gen(function*() {
              yield* step(1, "first", numbers)
              yield* opened(step(2, "second"), { takeOver: true })
              assert.isTrue(Files.isSuperseded(yield* Effect.flip(step(3, "first"))))
            }))
            yield* opened(Effect.gen(function*() {
              const { read, steps } = yield* Checkpoints.Checkpoints
              assert.deepStrictEqual(yield* steps(stage), [1, 2])
              assert.strictEqual(
                digestOf((yield* read(stage, 1)).weights),
                digestOf(saved(1, "first", numbers).weights)
              )
            }))
            assert.strictEqual((yield* stored)["log.jsonl"]!.split("\n").length, 3)
          })
        )))

    it.effect("takes what others add while it has an owner, and two of them never overwrite each other", () =>
      Effect.flatMap(Endpoint, ({ endpoint }) =>
        at(
          endpoint,
          Effect.fnUntraced(function*(place) {
            const { opened, stored } = place
            const guest = yield* opened(Effect.gen(function*() {
              yield* step(1, "first")
              const one = yield* copied(place, "one")
              const two = yield* copied(place, "two")
              assert.include(JSON.parse(readFileSync(join(one.folder, "lock"), "utf8")), { pid: process.pid })
              yield* one.store
              noted(one.folder, "one")
              noted(two.folder, "two")
              yield* one.store
              const error = yield* Effect.flip(two.store)
              assert.include(error.message, "another process has changed notes.jsonl meanwhile")
              assert.strictEqual(error[Runtime.errorExitCode], 73)
              yield* step(2, "first")
              const { directory } = yield* Runs.Runs
              assert.strictEqual(readFileSync(join(Option.getOrThrow(directory), "notes.jsonl"), "utf8"), "one\n")
              noted(one.folder, "more")
              yield* one.store
              noted(one.folder, "unstored")
              yield* one.renew
              const { lock, ...followed } = filesOf(one.folder)
              assert.isDefined(lock)
              const now = { ...yield* stored, "notes.jsonl": "one\nmore\n" }
              assert.deepStrictEqual(followed, { ...now, "notes.jsonl": "one\nmore\nunstored\n" })
              writeFileSync(join(one.folder, "notes.jsonl"), now["notes.jsonl"])
              return one
            }))
            yield* guest.renew
            assert.notProperty(filesOf(guest.folder), "lock")
            const three = yield* copied(place, "three")
            noted(three.folder, "three")
            assert.isFalse(existsSync(join(three.folder, "lock")))
            yield* three.store
            const files = yield* stored
            assert.strictEqual(files["notes.jsonl"], "one\nmore\nthree\n")
            assert.property(files, "checkpoints/pretrain/step-00000002/state.json")
          }),
          "s3://bucket/runs/two"
        )))

    it.effect("is copied in part, listed with others, and found by what lies in it", () =>
      Effect.flatMap(Endpoint, ({ endpoint }) =>
        at(
          endpoint,
          Effect.fnUntraced(function*(place) {
            const { home, opened, provided, stored } = place
            const numbers = 2 ** 19
            yield* opened(step(1, "first", numbers))
            const before = yield* stored
            const name = "checkpoints/pretrain/step-00000001/weights.safetensors"
            const part = yield* copied(place, "part", (file) => file.endsWith("weights.safetensors") ? "head" : "name")
            assert.strictEqual(part.files, Object.keys(before).length)
            assert.strictEqual(statSync(join(home, "part", name)).size, before[name]!.length)
            const bytes = readFileSync(join(home, "part", name), "latin1")
            assert.strictEqual(bytes.slice(0, 2 ** 20), before[name]!.slice(0, 2 ** 20))
            assert.isTrue(/^\0*$/.test(bytes.slice(2 ** 20)))
            noted(part.folder, "part")
            yield* part.store
            assert.deepStrictEqual(yield* stored, { ...before, "notes.jsonl": "part\n" })
            const asked = <A, E>(self: Effect.Effect<A, E, FileSystem.FileSystem | Path.Path>) =>
              Effect.provide(self, [Files.layerNode, provided], { local: true })
            const { runOf, list } = RemoteRuns
            assert.deepStrictEqual(yield* asked(list("s3://bucket/list//")), { runs: [place.url], misnamed: [] })
            const none = yield* Effect.flip(asked(list("s3://bucket/list/on")))
            assert.deepStrictEqual([none.reason._tag, none[Runtime.errorExitCode]], ["NoRun", 66])
            assert.deepStrictEqual(yield* asked(runOf(`${place.url}/stages/pretrain`)), Option.some(place.url))
            assert.deepStrictEqual(yield* asked(runOf("s3://bucket/list")), Option.none())
          }),
          "s3://bucket/list/one"
        )))
  }))
