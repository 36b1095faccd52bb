import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

export const start = (
  script: string,
  args: ReadonlyArray<string>,
  variables: Readonly<Record<string, string>> = {}
): ChildProcess =>
  spawn(process.execPath, ["--disable-warning=ExperimentalWarning", script, ...args], {
    cwd: root,
    env: { ...process.env, ...variables },
    stdio: ["ignore", "pipe", "pipe"]
  })

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export const ended = async (child: ChildProcess): Promise<Ended> => {
  const [stdout, stderr] = [child.stdout!, child.stderr!].map((stream) => {
    const chunks: Array<Buffer> = []
    stream.on("data", (chunk: Buffer) => chunks.push(chunk))
    return () => Buffer.concat(chunks).toString("utf8")
  })
  const [code, signal] = await once(child, "close") as [number | null, NodeJS.Signals | null]
  return { code, signal, stdout: stdout!(), stderr: stderr!() }
}
