import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import * as fc from "fast-check"
import * as Access from "../../src/studio/server/Access.ts"

const token = "0123456789abcdef"
const open: Access.Rules = { hosts: Access.LOOPBACK }
const closed: Access.Rules = { hosts: [], token: Redacted.make(token) }
const page = { method: "GET", url: "/runs/a/overview", host: "127.0.0.1:7007" }

const status = (asked: Access.Asked, rules: Access.Rules): number => {
  const verdict = Access.judge(asked, rules)
  return verdict._tag === "Refused" ? verdict.status : verdict._tag === "Entered" ? 303 : 200
}

describe("the gate of the studio", () => {
  it.each(["127.0.0.1", "127.0.0.1:7007", "LOCALHOST:1", "localhost.", "[::1]:7007"])("lets %s in", (host) => {
    assert.strictEqual(status({ ...page, host }, open), 200)
  })

  it.each([
    undefined,
    "",
    "rebound.example",
    "127.0.0.1.rebound.example:7007",
    "localhost@rebound.example",
    "localhost:x",
    "[::1"
  ])(
    "does not answer under the name %s",
    (host) => {
      assert.strictEqual(status({ ...page, host }, open), 403)
    }
  )

  it("answers no other name, whatever it is", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.domain(), fc.ipV4(), fc.webAuthority()), (host) => {
      fc.pre(!/^(?:127\.0\.0\.1|localhost|\[::1\])\.?(?::\d{1,5})?$/i.test(host))
      assert.strictEqual(status({ ...page, host }, open), 403)
    }))
  })

  it("moves a token from the address into a cookie", () => {
    const entered = Access.judge({ ...page, url: `/compare?run=a&token=${token}&run=b` }, closed)
    if (entered._tag !== "Entered") return assert.fail(entered._tag)
    assert.strictEqual(entered.location, "/compare?run=a&run=b")
    assert.strictEqual(status({ ...page, cookies: { [entered.cookie]: token } }, closed), 200)
    assert.strictEqual(status({ ...page, cookies: { [entered.cookie]: `${token}0` } }, closed), 401)
    assert.strictEqual(status({ ...page, cookies: { other: token } }, closed), 401)
  })

  it("never sends a reader to another server", () => {
    fc.assert(fc.property(fc.string(), fc.string(), (path, query) => {
      const entered = Access.judge({ ...page, url: `/${path.replaceAll("?", "")}?${query}&token=${token}` }, closed)
      if (entered._tag !== "Entered") return assert.fail(entered._tag)
      const { host, protocol } = new URL(entered.location, "http://studio.example/")
      assert.deepStrictEqual([protocol, host], ["http:", "studio.example"])
      assert.notInclude(entered.location, token)
    }))
  })

  it("lets nobody in without the token", () => {
    fc.assert(fc.property(fc.string(), fc.dictionary(fc.string(), fc.string()), (query, cookies) => {
      assert.strictEqual(status({ ...page, url: `/?${query}`, cookies }, closed), 401)
    }))
    assert.strictEqual(status({ ...page, url: `/?token=${token.slice(1)}` }, closed), 401)
  })

  it("takes changes from its own pages alone", () => {
    const change = { ...page, method: "POST" }
    assert.strictEqual(status({ ...change, origin: "http://127.0.0.1:7007" }, open), 200)
    for (const origin of [undefined, "null", "http://127.0.0.1:7008", "http://other.example"]) {
      assert.strictEqual(status({ ...change, origin }, open), 403)
    }
    for (const method of ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"]) {
      assert.strictEqual(status({ ...page, method, origin: "http://127.0.0.1:7007" }, open), 405)
    }
  })
})
