/**
 * Throws where Node.js is too old. It is the first import of each entry of the package: what comes behind it may call what an
 * older Node.js lacks.
 */
import { refusal } from "./NodeVersion.ts"

// A browser has no process.
const version = globalThis.process?.versions?.node
const refused = version === undefined ? undefined : refusal(version)
if (refused !== undefined) throw new Error(refused)
