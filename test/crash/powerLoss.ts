import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import type * as KeyedRandom from "../../src/domain/values/KeyedRandom.ts"
import type { Operation } from "./watchedDisk.ts"

interface File {
  readonly kind: "file"
  content: Buffer
  synced: Buffer
}

type Entries = Map<string, Node>

interface Change {
  readonly folder: Folder
  readonly make: (entries: Entries) => void
  other?: Change
}

interface Folder {
  readonly kind: "folder"
  readonly entries: Entries
  synced: Entries
  pending: Array<Change>
}

type Node = File | Folder

export type Tree = { readonly [name: string]: Tree | Buffer }

export const survivals = ["synced", "some", "torn", "zeroed", "all"] as const

export type Survival = typeof survivals[number]

const emptyFolder = (): Folder => ({ kind: "folder", entries: new Map(), synced: new Map(), pending: [] })

const nodeOf = (tree: Tree | Buffer): Node => {
  if (Buffer.isBuffer(tree)) return { kind: "file", content: tree, synced: tree }
  const entries = Object.entries(tree).map(([name, one]) => [name, nodeOf(one)] as const)
  return { kind: "folder", entries: new Map(entries), synced: new Map(entries), pending: [] }
}

const change = (folder: Folder, make: (entries: Entries) => void): Change => {
  make(folder.entries)
  const made = { folder, make }
  folder.pending.push(made)
  return made
}

const keep = (folder: Folder, count: number): void => {
  for (const { make, other } of folder.pending.splice(0, count)) {
    make(folder.synced)
    // Both halves of a rename are kept, or none.
    if (other !== undefined) keep(other.folder, other.folder.pending.indexOf(other) + 1)
  }
}

const treeOf = (
  node: Node,
  contentOf: (file: File) => Buffer,
  entriesOf: (folder: Folder) => Entries
): Tree | Buffer =>
  node.kind === "file"
    ? contentOf(node)
    : Object.fromEntries([...entriesOf(node)].map(([name, one]) => [name, treeOf(one, contentOf, entriesOf)]))

export class Disk {
  readonly #root: Folder
  readonly #at: string
  readonly #handles = new Map<number, Node>()
  readonly #folders: Array<Folder> = []

  constructor(at: string, begun: Tree = {}) {
    this.#at = at
    this.#root = nodeOf(begun) as Folder
    const collect = (node: Node): void => {
      if (node.kind === "file") return
      this.#folders.push(node)
      node.entries.forEach(collect)
    }
    collect(this.#root)
  }

  #find(path: string): Node | undefined {
    if (path === this.#at) return this.#root
    const folder = path.startsWith(`${this.#at}/`) ? this.#find(dirname(path)) : undefined
    return folder?.kind === "folder" ? folder.entries.get(basename(path)) : undefined
  }

  #change(path: string, entry: (entries: Entries, name: string) => void): Change | undefined {
    const folder = this.#find(dirname(path))
    return folder?.kind === "folder" ? change(folder, (entries) => entry(entries, basename(path))) : undefined
  }

  apply(operation: Operation): void {
    switch (operation.kind) {
      case "folder": {
        const made = emptyFolder()
        this.#folders.push(made)
        this.#change(operation.path, (entries, name) => entries.set(name, made))
        return
      }
      case "open": {
        const { handle, path, truncates } = operation
        if (this.#find(path) === undefined) {
          const made: File = { kind: "file", content: Buffer.alloc(0), synced: Buffer.alloc(0) }
          this.#change(path, (entries, name) => entries.set(name, made))
        }
        const node = this.#find(path)
        if (node === undefined) return
        if (truncates && node.kind === "file") node.content = Buffer.alloc(0)
        this.#handles.set(handle, node)
        return
      }
      case "write": {
        const { bytes, handle, position } = operation
        const file = this.#handles.get(handle)
        if (file?.kind !== "file") return
        const content = Buffer.alloc(Math.max(file.content.length, position + bytes.length))
        file.content.copy(content)
        content.set(bytes, position)
        file.content = content
        return
      }
      case "truncate": {
        const file = this.#handles.get(operation.handle)
        if (file?.kind === "file") file.content = file.content.subarray(0, operation.length)
        return
      }
      case "sync": {
        const node = this.#handles.get(operation.handle)
        if (node === undefined) return
        if (node.kind === "file") node.synced = node.content
        else keep(node, node.pending.length)
        return
      }
      case "rename": {
        const { from, to } = operation
        const node = this.#find(from)
        if (node === undefined) return
        if (dirname(from) !== dirname(to)) {
          const there = this.#change(to, (entries, name) => entries.set(name, node))
          const here = this.#change(from, (entries, name) => entries.delete(name))
          if (there !== undefined && here !== undefined) {
            there.other = here
            here.other = there
          }
          return
        }
        this.#change(to, (entries, name) => {
          entries.delete(basename(from))
          entries.set(name, node)
        })
        return
      }
      case "link": {
        const node = this.#find(operation.from)
        if (node !== undefined) this.#change(operation.to, (entries, name) => entries.set(name, node))
        return
      }
      case "remove":
        this.#change(operation.path, (entries, name) => entries.delete(name))
    }
  }

  #choose(random: KeyedRandom.Generator, chosen: Map<Folder, Entries>): void {
    const kept = new Map<Folder, number>()
    const extend = (folder: Folder, count: number): void => {
      const before = kept.get(folder) ?? 0
      if (count <= before) return
      kept.set(folder, count)
      for (const { other } of folder.pending.slice(before, count)) {
        if (other !== undefined) extend(other.folder, other.folder.pending.indexOf(other) + 1)
      }
    }
    for (const folder of this.#folders) extend(folder, random.integer(0, folder.pending.length))
    for (const folder of this.#folders) {
      const entries = new Map(folder.synced)
      for (const { make } of folder.pending.slice(0, kept.get(folder) ?? 0)) make(entries)
      chosen.set(folder, entries)
    }
  }

  all(): Tree {
    return treeOf(this.#root, ({ content }) => content, ({ entries }) => entries) as Tree
  }

  after(survival: Survival, random: KeyedRandom.Generator): Tree {
    const fileAfter = ({ content, synced }: File): Buffer => {
      if (survival === "all") return content
      if (survival === "synced" || content === synced) return synced
      if (survival === "some" && random.integer(0, 1) === 0) return synced
      const kept = random.integer(Math.min(synced.length, content.length), content.length)
      if (survival !== "zeroed") return content.subarray(0, kept)
      return Buffer.concat([content.subarray(0, kept), Buffer.alloc(content.length - kept)])
    }
    const chosen = new Map<Folder, Entries>()
    if (survival === "some") this.#choose(random, chosen)
    const entriesAfter = (folder: Folder): Entries =>
      survival === "synced" ? folder.synced : survival === "some" ? chosen.get(folder) ?? folder.synced : folder.entries
    return treeOf(this.#root, fileAfter, entriesAfter) as Tree
  }
}

export const readTree = (folder: string): Tree =>
  Object.fromEntries(
    readdirSync(folder, { withFileTypes: true }).toSorted((a, b) => a.name < b.name ? -1 : 1).map((entry) => {
      const place = join(folder, entry.name)
      return [entry.name, entry.isDirectory() ? readTree(place) : readFileSync(place)]
    })
  )

// The process that a lock names has another start after the power is back.
const later = (content: Buffer): string => content.toString().replace(/"started":"\d+"/, `"started":"0"`)

const writeInto = (folder: string, tree: Tree): void => {
  mkdirSync(folder, { recursive: true })
  for (const [name, one] of Object.entries(tree)) {
    if (Buffer.isBuffer(one)) writeFileSync(join(folder, name), name.startsWith("lock") ? later(one) : one)
    else writeInto(join(folder, name), one)
  }
}

export const writeTree = (folder: string, tree: Tree): void => {
  rmSync(folder, { recursive: true, force: true })
  writeInto(folder, tree)
}

export const filesOf = (tree: Tree, within = ""): ReadonlyArray<readonly [path: string, content: Buffer]> =>
  Object.entries(tree).toSorted(([a], [b]) => a < b ? -1 : 1).flatMap(([name, one]) =>
    Buffer.isBuffer(one) ? [[`${within}${name}`, one] as const] : filesOf(one, `${within}${name}/`)
  )
