/** The errors of a server that cannot begin. */
import { Predicate, Runtime, Schema } from "effect"
import { TaggedError } from "../domain/values/TaggedError.ts"

const SENTENCES = {
  used: ["another program uses the port", "end that program, or take a free port (--port 0)"],
  denied: ["this user may not use the port", "take a port above 1023, or a free one (--port 0)"],
  foreign: ["this machine does not have the address", "take 127.0.0.1, or an address of this machine"],
  other: ["nothing can listen here", "check the host and the port"]
} as const

/** The studio cannot listen at an address. */
export class ListenError extends TaggedError<ListenError>()("ListenError", {
  host: Schema.String,
  port: Schema.Int,
  kind: Schema.Literals(["used", "denied", "foreign", "other"]),
  cause: Schema.Defect()
}) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    const detail = this.kind === "other" && this.cause instanceof Error ? ` (${this.cause.message})` : ""
    return `port ${this.port} of ${this.host}: ${SENTENCES[this.kind][0]}${detail}`
  }
  get remedy() {
    return SENTENCES[this.kind][1]
  }
}

const KINDS: Readonly<Record<string, ListenError["kind"]>> = {
  EADDRINUSE: "used",
  EACCES: "denied",
  EADDRNOTAVAIL: "foreign",
  ENOTFOUND: "foreign",
  EAI_AGAIN: "foreign"
}

/** Makes the error of a cause that Node.js gave. */
export const of = (host: string, port: number, cause: unknown): ListenError => {
  const code = Predicate.hasProperty(cause, "code") ? String(cause.code) : ""
  return new ListenError({ host, port, kind: KINDS[code] ?? "other", cause })
}
