/** Changes of valid inputs: of bytes, of JSON texts, and of the files of a folder. */
import { isDeeper } from "../../src/domain/values/Json.ts"
import type { Content, Files } from "./Case.ts"
import type { Draw } from "./Draw.ts"
import * as Hostile from "./Hostile.ts"

const LIMITS = [0, 1, 0x7f, 0x80, 0xff]
const WIDE = [0n, 1n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x7fffffffffffffffn, 0xffffffffffffffffn, 2n ** 53n]

const at = (draw: Draw, length: number): number => {
  const edge = Math.min(length, 64)
  const kind = draw.below(3)
  return kind === 0 ? draw.below(edge) : kind === 1 ? length - 1 - draw.below(edge) : draw.below(length)
}

const once = (draw: Draw, given: Uint8Array): Uint8Array => {
  const { length } = given
  if (length === 0) return draw.bytes(draw.below(16))
  const bytes = given.slice()
  const place = at(draw, length)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  switch (draw.below(9)) {
    case 0:
      bytes[place]! ^= 1 << draw.below(8)
      return bytes
    case 1:
      bytes[place] = draw.chance(0.5) ? draw.of(LIMITS) : draw.below(256)
      return bytes
    case 2:
      return bytes.subarray(0, place)
    case 3:
      return Buffer.concat([bytes.subarray(0, place), draw.bytes(1 + draw.below(8)), bytes.subarray(place)])
    case 4:
      return Buffer.concat([bytes.subarray(0, place), bytes.subarray(Math.min(length, place + 1 + draw.below(16)))])
    case 5:
      if (length >= 8) view.setBigUint64(Math.min(place, length - 8), draw.of(WIDE), draw.chance(0.7))
      return bytes
    case 6:
      if (length >= 4) {
        view.setUint32(Math.min(place, length - 4), Number(draw.of(WIDE) & 0xffffffffn), draw.chance(0.7))
      }
      return bytes
    case 7: {
      const from = at(draw, length)
      bytes.copyWithin(place, from, from + 1 + draw.below(32))
      return bytes
    }
    default:
      return Buffer.concat([bytes, bytes.subarray(place)])
  }
}

export const bytes = (draw: Draw, given: Uint8Array): Uint8Array => {
  const times = 1 + draw.below(draw.of([1, 1, 2, 4, 8]))
  return Array.from({ length: times }).reduce<Uint8Array>((changed) => once(draw, changed), given)
}

interface Node {
  readonly parent: object | undefined
  readonly key: string
}

const nodes = (value: unknown, parent: object | undefined, key: string, found: Array<Node>): Array<Node> => {
  found.push({ parent, key })
  if (typeof value === "object" && value !== null) {
    for (const [name, member] of Object.entries(value)) nodes(member, value, name, found)
  }
  return found
}

const RAW = /"@raw:(\d+)@"/g

/** Changes values, keys and numbers of a JSON text. The result may be no JSON. */
export const json = (draw: Draw, text: string): string => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  if (value === undefined || isDeeper(value)) {
    return Buffer.from(bytes(draw, Buffer.from(text))).toString()
  }
  const raws: Array<string> = []
  const raw = (content: string) => `@raw:${raws.push(content) - 1}@`
  for (let i = 0, times = 1 + draw.below(3); i < times; i++) {
    const { key, parent } = draw.of(nodes(value, undefined, "", []))
    if (parent === undefined) {
      if (draw.chance(0.3)) value = raw(Hostile.json(draw))
      continue
    }
    const members = parent as Record<string, unknown>
    const held = members[key]
    switch (draw.below(6)) {
      case 0:
        if (Array.isArray(parent)) parent.splice(Number(key), 1)
        else delete members[key]
        break
      case 1:
        Object.defineProperty(parent, Array.isArray(parent) ? String(parent.length) : Hostile.name(draw), {
          value: held,
          enumerable: true,
          configurable: true,
          writable: true
        })
        break
      case 2:
        members[key] = typeof held === "number" ? raw(draw.of(Hostile.numbers)) : Hostile.name(draw)
        break
      default:
        members[key] = raw(Hostile.json(draw))
    }
  }
  const written = JSON.stringify(value) ?? "undefined"
  const changed = written.replaceAll(RAW, (_, index: string) => raws[Number(index)]!)
  return draw.chance(0.05) ? changed.replace(/\{("[^"]*"):/, "{$1:0,$1:") : changed
}

const isText = (name: string): boolean => /\.(?:json|jsonl|yaml|yml|txt|html)$/.test(name)

const lines = (draw: Draw, text: string): string => {
  const all = text.split("\n")
  const place = draw.below(all.length)
  return all.with(place, draw.chance(0.7) ? json(draw, all[place]!) : Hostile.json(draw)).join("\n")
}

const content = (draw: Draw, name: string, given: Content): Content => {
  if (typeof given === "object" && "link" in given) return given
  const text = typeof given === "string" ? given : undefined
  if (isText(name) && text !== undefined && draw.chance(0.8)) {
    return name.endsWith(".jsonl") ? lines(draw, text) : json(draw, text)
  }
  return bytes(draw, typeof given === "string" ? Buffer.from(given) : given)
}

/** Changes files of a folder: their content, their names, their kinds. */
export const files = (draw: Draw, given: Files): Files => {
  const changed: Record<string, Content> = { ...given }
  const known = Object.keys(given)
  for (let i = 0, times = 1 + draw.below(2); i < times; i++) {
    const name = draw.of(known)
    const held = changed[name]
    if (held === undefined) continue
    const kind = draw.below(20)
    if (kind === 0) delete changed[name]
    else if (kind === 1) {
      changed[name] = { link: draw.of(["../outside/secret.json", name, "../outside", "nowhere", "/dev/null", "."]) }
    } else if (kind === 2) {
      delete changed[name]
      changed[`${name}/inner`] = "x"
    } else if (kind === 3) {
      const other = changed[draw.of(known)]
      if (other !== undefined) changed[name] = other
    } else if (kind === 4) changed[name] = draw.bytes(draw.below(64))
    else changed[name] = content(draw, name, held)
  }
  return changed
}
