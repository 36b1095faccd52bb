/**
 * The gate of the studio. It answers the reader who is meant, and no other page in the reader's browser.
 *
 * A page of another site can make a browser send requests to 127.0.0.1, also under a name of its own that leads there (DNS
 * rebinding). So the name in the `Host` header must be one of the studio's. A studio that others reach over the network asks for a
 * token. With it, any name passes, because the cookie that holds the token belongs to one name.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Access } from "patchword/studio"
 *
 * const asked = { method: "GET", url: "/", host: "rebound.example:7007" }
 * assert.strictEqual(Access.judge(asked, { hosts: Access.LOOPBACK })._tag, "Refused")
 * assert.strictEqual(Access.judge({ ...asked, host: "localhost:7007" }, { hosts: Access.LOOPBACK })._tag, "Passed")
 * ```
 */
import { Redacted } from "effect"
import { Mac } from "effect/crypto"
import * as Files from "../../layers/files/Files.ts"

/** The names of this machine for itself. */
export const LOOPBACK: ReadonlyArray<string> = ["127.0.0.1", "localhost", "[::1]"]

/** The rules of a gate. */
export interface Rules {
  /** Names in the `Host` header, without port. It is not read where a token is asked for. */
  readonly hosts: ReadonlyArray<string>
  /** The secret that a reader brings in the address once, and in a cookie afterwards. Without it, none is asked for. */
  readonly token?: Redacted.Redacted
}

/** The parts of a request that the gate reads. */
export interface Asked {
  readonly method: string
  /** The path with its query, as it was sent. */
  readonly url: string
  readonly host?: string | undefined
  readonly origin?: string | undefined
  readonly cookies?: Readonly<Record<string, string>>
}

/** The decision on a request. */
export type Verdict =
  | { readonly _tag: "Passed" }
  /** The token is in the address. It moves to a cookie, and the reader to `location`, which does not show it. */
  | { readonly _tag: "Entered"; readonly location: string; readonly cookie: string }
  | { readonly _tag: "Refused"; readonly status: 401 | 403 | 405; readonly why: string }

/** The name of the token in an address. */
export const QUERY = "token"

// Cookies do not tell ports apart. Two studios of one machine have two tokens.
const cookieOf = (token: string): string => `patchword-studio-${Files.sha256(token).slice(0, 12)}`

// Digests have the same length, so that the time tells nothing about the token.
const same = (given: string, token: string): boolean => {
  const [a, b] = [given, token].map((text) => new TextEncoder().encode(Files.sha256(text)))
  return Mac.timingSafeEqual(a!, b!)
}

const nameOf = (host: string): string => host.toLowerCase().replace(/:\d{1,5}$/, "").replace(/\.$/, "")

const passed: Verdict = { _tag: "Passed" }

const refused = (status: 401 | 403 | 405, why: string): Verdict => ({ _tag: "Refused", status, why })

// Two slashes at the beginning would name another server.
const cleaned = (url: string): string => {
  const [path = "", query = ""] = url.split(/\?(.*)/s, 2)
  const left = query.split("&").filter((part) => part !== "" && part.split("=")[0] !== QUERY).join("&")
  return `/${path.replace(/^[/\\]+/, "")}${left === "" ? "" : `?${left}`}`
}

const tokensIn = (url: string): ReadonlyArray<string> =>
  new URLSearchParams(url.slice((url.indexOf("?") + 1) || url.length)).getAll(QUERY)

const admitted = ({ cookies = {}, host, url }: Asked, { hosts, token }: Rules): Verdict => {
  if (token === undefined) {
    return host !== undefined && hosts.includes(nameOf(host))
      ? passed
      : refused(403, "The studio is not known under this name. Open the address that the terminal shows.")
  }
  const secret = Redacted.value(token)
  if (tokensIn(url).some((given) => same(given, secret))) {
    return { _tag: "Entered", location: cleaned(url), cookie: cookieOf(secret) }
  }
  return same(cookies[cookieOf(secret)] ?? "", secret)
    ? passed
    : refused(401, "The studio asks for its token. Open the address that the terminal shows.")
}

/** Decides on a request. Changes (`POST`) come from the studio's own pages alone. */
export const judge = (asked: Asked, rules: Rules): Verdict => {
  const verdict = admitted(asked, rules)
  const { host, method, origin } = asked
  if (verdict._tag === "Refused" || method === "GET" || method === "HEAD") return verdict
  if (method !== "POST") return refused(405, "The studio answers GET and HEAD.")
  if (verdict._tag === "Entered") return refused(403, "A change comes with a cookie, and not with a token.")
  const own = host !== undefined && (origin === `http://${host}` || origin === `https://${host}`)
  return own ? passed : refused(403, "Only the studio's own pages may change something.")
}
