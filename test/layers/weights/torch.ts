import { Uint8ArrayReader, Uint8ArrayWriter, ZipWriter } from "@zip.js/zip.js"

export type Python =
  | null
  | boolean
  | number
  | string
  | ReadonlyArray<Python>
  | { readonly tuple: ReadonlyArray<Python> }
  | { readonly dict: ReadonlyArray<readonly [Python, Python]> }
  | { readonly global: string }
  | {
    readonly call: string
    readonly args: ReadonlyArray<Python>
    readonly items?: ReadonlyArray<readonly [Python, Python]>
  }
  | { readonly object: string; readonly state: Readonly<Record<string, Python>> }
  | { readonly persistent: Python }

export interface Storage {
  readonly key: string
  readonly type: string
  readonly data: ArrayBufferView
  readonly length: number
}

export interface TorchTensor {
  readonly storage: Storage
  readonly offset?: number
  readonly shape: ReadonlyArray<number>
  readonly strides?: ReadonlyArray<number>
}

const bytesOf = (data: ArrayBufferView): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

const numbered = (opcode: number, set: (view: DataView) => void, length: number): ReadonlyArray<number> => {
  const view = new DataView(new ArrayBuffer(length))
  set(view)
  return [opcode, ...bytesOf(view)]
}

const letter = (text: string): number => text.charCodeAt(0)

export const pickle = (value: Python): Uint8Array => {
  const out: Array<number> = [0x80, 2]
  let memo = 0
  const remember = (): void => void out.push(...numbered(letter("r"), (view) => view.setUint32(0, memo++, true), 4))
  const global = (name: string): void => {
    const dot = name.lastIndexOf(".")
    out.push(...Buffer.from(`c${name.slice(0, dot)}\n${name.slice(dot + 1)}\n`))
  }
  const tuple = (values: ReadonlyArray<Python>): void => {
    out.push(letter("("))
    values.forEach(write)
    out.push(letter("t"))
    remember()
  }
  const items = (pairs: ReadonlyArray<readonly [Python, Python]>): void => {
    out.push(letter("("))
    pairs.flat().forEach(write)
    out.push(letter("u"))
  }
  const write = (value: Python): void => {
    if (value === null) out.push(letter("N"))
    else if (typeof value === "boolean") out.push(value ? 0x88 : 0x89)
    else if (typeof value === "number") {
      out.push(
        ...Number.isInteger(value)
          ? numbered(letter("J"), (view) => view.setInt32(0, value, true), 4)
          : numbered(letter("G"), (view) => view.setFloat64(0, value, false), 8)
      )
    } else if (typeof value === "string") {
      const text = Buffer.from(value)
      out.push(...numbered(letter("X"), (view) => view.setUint32(0, text.length, true), 4), ...text)
    } else if ("tuple" in value) tuple(value.tuple)
    else if ("global" in value) global(value.global)
    else if ("dict" in value) {
      out.push(letter("}"))
      remember()
      items(value.dict)
    } else if ("call" in value) {
      global(value.call)
      tuple(value.args)
      out.push(letter("R"))
      remember()
      if (value.items !== undefined) items(value.items)
    } else if ("object" in value) {
      global(value.object)
      out.push(letter(")"), 0x81)
      remember()
      write({ dict: Object.entries(value.state) })
      out.push(letter("b"))
    } else if ("persistent" in value) {
      write(value.persistent)
      out.push(letter("Q"))
    } else {
      out.push(letter("]"))
      remember()
      out.push(letter("("))
      value.forEach(write)
      out.push(letter("e"))
    }
  }
  write(value)
  out.push(letter("."))
  return Uint8Array.from(out)
}

const contiguous = (shape: ReadonlyArray<number>): ReadonlyArray<number> =>
  shape.map((_, axis) => shape.slice(axis + 1).reduce((product, dim) => product * dim, 1))

export const tensor = ({ offset = 0, shape, storage, strides = contiguous(shape) }: TorchTensor): Python => ({
  call: "torch._utils._rebuild_tensor_v2",
  args: [
    {
      persistent: {
        tuple: ["storage", { global: `torch.${storage.type}Storage` }, storage.key, "cpu", storage.length]
      }
    },
    offset,
    { tuple: shape },
    { tuple: strides },
    false,
    { call: "collections.OrderedDict", args: [] }
  ]
})

export const stateDict = (tensors: Readonly<Record<string, TorchTensor>>): Python => ({
  call: "collections.OrderedDict",
  args: [],
  items: Object.entries(tensors).map(([name, given]) => [name, tensor(given)])
})

export const archive = async (
  records: Readonly<Record<string, Uint8Array>>,
  level = 0
): Promise<Uint8Array> => {
  const writer = new ZipWriter(new Uint8ArrayWriter(), { level, useWebWorkers: false })
  for (const [name, bytes] of Object.entries(records)) await writer.add(name, new Uint8ArrayReader(bytes))
  return await writer.close()
}

export const records = (value: Python, storages: ReadonlyArray<Storage>): Readonly<Record<string, Uint8Array>> => ({
  "archive/data.pkl": pickle(value),
  "archive/byteorder": new TextEncoder().encode("little"),
  ...Object.fromEntries(storages.map(({ data, key }) => [`archive/data/${key}`, bytesOf(data)])),
  "archive/version": new TextEncoder().encode("3\n")
})

export const file = (value: Python, storages: ReadonlyArray<Storage>): Promise<Uint8Array> =>
  archive(records(value, storages))
