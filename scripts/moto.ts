/** Installs moto, a server with the protocol of S3, for the tests: `npm run setup:s3`. */
import { Effect } from "effect"
import * as Caches from "../src/layers/files/Caches.ts"
import { environment, pythonOf } from "./python.ts"

const VERSION = "5.2.5"

const folder = Effect.runSync(Caches.folder(`moto-${VERSION}`))

/** The interpreter that has it. It need not be there. */
export const PYTHON = pythonOf(folder)

if (import.meta.main) environment([`moto[s3]==${VERSION}`, "flask==3.1.3", "flask-cors==6.0.5"], [], folder)
