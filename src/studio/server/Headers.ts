/** The headers of every answer of the studio. */
import * as Files from "../../layers/files/Files.ts"

/** Makes the policy of a page: own scripts and styles, own pictures and those in the page, no other server, no frame. */
const policy = (scripts: string) =>
  [
    "default-src 'none'",
    `script-src ${scripts}`,
    "style-src 'self'",
    "style-src-attr 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'"
  ].join("; ")

/** The policy of a page that compiles WebAssembly. Text is still no program. */
export const WASM = policy("'self' 'wasm-unsafe-eval'")

// With `no-referrer`, a browser would send the origin `null` with the studio's own forms.

/** Headers that make a browser treat an answer as what it is, keep it to its own site, and tell no other site where the reader was. */
export const security: Readonly<Record<string, string>> = {
  "content-security-policy": policy("'self'"),
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY"
}

/**
 * The policy of a report that a run left: a page of its own in a sandbox. It draws its charts, but reaches neither the studio nor
 * any server.
 */
export const SANDBOX =
  "sandbox allow-scripts allow-popups; default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; " +
  "frame-ancestors 'none'"

/** Answers are kept if they did not change. */
export const REVALIDATED = "private, no-cache"

/** Makes the tag of a version (`ETag`). */
export const tagOf = (version: string): string => `"${Files.sha256(version).slice(0, 24)}"`

/** Tests whether a browser has the version with this tag (`If-None-Match`, RFC 9110). */
export const isKnown = (asked: string | undefined, tag: string): boolean =>
  asked !== undefined && asked.split(",").some((one) => one.trim().replace(/^W\//, "") === tag || one.trim() === "*")
