/** Errors of object storage. */
import { Runtime, Schema } from "effect"
import { TaggedError } from "../../domain/values/TaggedError.ts"
import * as Files from "../files/Files.ts"

/** The address is none of object storage. */
export class AddressInvalid extends TaggedError<AddressInvalid>()("AddressInvalid", {}) {
  override readonly [Runtime.errorExitCode] = 64
  get finding() {
    return "this is no address of object storage"
  }
  get remedy() {
    return "write it as s3://BUCKET/PREFIX"
  }
}

/** The environment has no credentials. */
export class NoCredentials extends TaggedError<NoCredentials>()("NoCredentials", { variable: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `there are no credentials: the variable ${this.variable} is missing`
  }
  get remedy() {
    return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN if they are temporary"
  }
}

/** The address of the server cannot be used. It is not told, because it may hold a password. */
export class EndpointInvalid extends TaggedError<EndpointInvalid>()("EndpointInvalid", { variable: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 64
  get finding() {
    return `the variable ${this.variable} is no address of a server, or has a name and a password in it`
  }
  get remedy() {
    return "write it as https://HOST:PORT, and give the credentials by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
  }
}

/** The server refuses the request. */
export class Refused extends TaggedError<Refused>()("Refused", { status: Schema.Int, code: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `the server refused (${this.status} ${this.code})`
  }
  get remedy() {
    return "check the bucket, the region (AWS_REGION), the address of the server (AWS_ENDPOINT_URL_S3) and the permissions"
  }
}

/** The server cannot be reached, or goes on failing. */
export class Unreachable extends TaggedError<Unreachable>()("Unreachable", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 69
  get finding() {
    return `the storage was not reached (${this.detail})`
  }
  get remedy() {
    return "check the network and the address of the server (AWS_ENDPOINT_URL_S3), and run the same command again: a training goes on " +
      "from what is stored"
  }
}

/** There is no run at an address. */
export class NoRun extends TaggedError<NoRun>()("NoRun", {}) {
  override readonly [Runtime.errorExitCode] = 66
  get finding() {
    return "there is no run"
  }
  get remedy() {
    return "choose another address"
  }
}

/** The address of a new run lies in a run. */
export class InRun extends TaggedError<InRun>()("InRun", { run: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 73
  get finding() {
    return `this address lies in the run ${this.run}`
  }
  get remedy() {
    return "choose an address outside of it"
  }
}

/** An object is missing, or differs from what was stored. */
export class Damaged extends TaggedError<Damaged>()("Damaged", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return this.problem
  }
  get remedy() {
    return "restore it, or choose another address"
  }
}

/** Another process changed the same file of a run. */
export class ChangedMeanwhile extends TaggedError<ChangedMeanwhile>()("ChangedMeanwhile", { file: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 73
  get finding() {
    return `another process has changed ${this.file} meanwhile, so the own change was not stored`
  }
  get remedy() {
    return "run the command again"
  }
}

/** Object storage cannot be used. The exit code is that of the reason. */
export class S3Error extends TaggedError<S3Error>()("S3Error", {
  url: Schema.String,
  reason: Schema.Union([
    AddressInvalid,
    EndpointInvalid,
    NoCredentials,
    Refused,
    Unreachable,
    NoRun,
    InRun,
    Damaged,
    ChangedMeanwhile,
    Files.FileError
  ])
}) {
  override readonly [Runtime.errorExitCode] = this.reason[Runtime.errorExitCode]
  get finding() {
    return this.reason._tag === "FileError" ? this.reason.finding : `${this.url}: ${this.reason.finding}`
  }
  get remedy() {
    return this.reason.remedy
  }
}
