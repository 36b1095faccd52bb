import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import * as fc from "fast-check"
import { JobsError } from "../../src/jobs/JobsError.ts"
import * as JobStore from "../../src/jobs/JobStore.ts"

const refusal = (address: string) => Effect.flip(Effect.scoped(Layer.build(JobStore.layer(Redacted.make(address)))))

describe("an address of PostgreSQL", () => {
  it.effect.each([
    ["postgres://me:p%zzsecret@127.0.0.1:1/db", "%"],
    ["postgres://me:%ffsecret@127.0.0.1:1/db", "%"],
    ["postgres://me:p#secret@127.0.0.1:1/db", "#"],
    ["postgres://me:12#secret@127.0.0.1:1/db", "#"],
    ["postgres://me:p@12#secret@127.0.0.1:1/db", "#"],
    ["postgres://me:12/secret@127.0.0.1:1/db", "/"],
    ["postgres://me:12?secret@127.0.0.1:1/db", "?"],
    ["postgres://me:p@12/secret@127.0.0.1:1/db", "/"]
  ])("is refused for what a password has to write otherwise: %s", ([address, sign]) =>
    Effect.gen(function*() {
      const error = yield* refusal(address!)
      assert.instanceOf(error, JobsError)
      assert.deepInclude(error, { store: "postgres" })
      assert.strictEqual(error.reason._tag, "StoreInvalid")
      assert.include(error.finding, `a ${sign}`)
      assert.include(error.remedy, "% as %25, # as %23")
      assert.notMatch(error.message, /secret|12/)
    }))

  it.effect("can have an @ in its options and in a password", () =>
    Effect.gen(function*() {
      for (const address of ["127.0.0.1:1/db?user=me@x", "me:p@secret@127.0.0.1:1/db", "me:%23@127.0.0.1:1/db"]) {
        const error = yield* refusal(`postgres://${address}`)
        assert.strictEqual(error.reason._tag, "Unreachable", address)
        assert.notInclude(error.message, "secret")
      }
    }))

  it("is shown without any part of its password", () => {
    const part = fc.string({ unit: fc.constantFrom(..."1a%#/?@:\\[] &=."), maxLength: 6 })
    fc.assert(fc.property(part, part, (first, last) => {
      for (const password of [`${first}secret${last}secret`, `secret${first}`, `9${first}secret`]) {
        assert.notInclude(JobStore.show(`postgres://me:${password}@db.example:5432/jobs`), "secret")
      }
    }))
    assert.strictEqual(JobStore.show("postgres://me:p%23@db.example/jobs"), "postgres://me@db.example/jobs")
  })
})

describe("the words of a database", () => {
  it("are told without a password", () => {
    const told = JobStore.unreachable(new Error("cannot reach postgres://me:p@secret@db.example/jobs"))
    assert.strictEqual(told.problem, "cannot reach postgres://db.example/jobs")
  })
})
