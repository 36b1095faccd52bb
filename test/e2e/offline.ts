import dgram from "node:dgram"
import dns from "node:dns"
import { appendFileSync } from "node:fs"
import net from "node:net"

const record = process.env["PATCHWORD_TEST_ASKED"]!

const refuse = (what: string) => (): never => {
  appendFileSync(record, `${what}\n`)
  throw new Error("the network is refused")
}

net.Socket.prototype.connect = refuse("connect")
dgram.Socket.prototype.send = refuse("send")
Object.assign(dns, { lookup: refuse("lookup"), resolve: refuse("resolve") })
globalThis.fetch = refuse("fetch")
appendFileSync(record, "ready\n")
