/**
 * Reads Python's pickle format, as far as files of weights need it. A pickle is a program that may call anything in Python.
 * This reader knows the calls that its caller lists, refuses all others, and executes nothing.
 *
 * Lists and tuples become arrays. Dictionaries become maps. Integers become numbers if these are exact.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Result } from "effect"
 * import { Pickle } from "patchword/domain"
 *
 * const list = Uint8Array.of(0x80, 2, 0x5d, 0x4b, 7, 0x61, 0x2e)
 * assert.deepStrictEqual(Pickle.decode(list), Result.succeed([7]))
 *
 * const system = new TextEncoder().encode("cos\nsystem\n.")
 * const refused = Result.getOrThrow(Result.flip(Pickle.decode(system)))
 * assert.deepStrictEqual(refused.reason, { _tag: "Refused", name: "os.system" })
 * ```
 *
 * Format: https://docs.python.org/3/library/pickletools.html
 */
import { Result, Runtime, Schema } from "effect"
import { TaggedError, type Told } from "../values/TaggedError.ts"

/** The reason why a pickle cannot be read. */
export const Reason = Schema.TaggedUnion({
  /** It ends before it is complete. */
  Truncated: { length: Schema.Int },
  /** It calls something that is not listed. */
  Refused: { name: Schema.String },
  /** It calls something with unsupported arguments. */
  Arguments: { name: Schema.String },
  /** An instruction is unknown, or not valid at its position. */
  Invalid: { at: Schema.Int, problem: Schema.String }
})
export type Reason = typeof Reason.Type

const told = (reason: Reason): Told =>
  Reason.match(reason, {
    Truncated: ({ length }) => ({
      finding: `it is cut off after ${length} bytes`,
      remedy: "copy the file again"
    }),
    Refused: ({ name }) => ({
      finding: `it calls ${name}. Weights do not need this call, and it may do harm`,
      remedy:
        "if you trust the file, load it in PyTorch and save its tensors alone: torch.save(model.state_dict(), ...)"
    }),
    Arguments: ({ name }) => ({
      finding: `it calls ${name} with unsupported arguments`,
      remedy: "save the tensors again: torch.save(model.state_dict(), ...)"
    }),
    Invalid: ({ at, problem }) => ({
      finding: `at byte ${at}, ${problem}`,
      remedy: "the file is damaged: copy it again"
    })
  })

/** A pickle is damaged, or asks for more than weights need. */
export class PickleError extends TaggedError<PickleError>()("PickleError", { reason: Reason }) {
  override readonly [Runtime.errorExitCode] = 65
  get finding() {
    return `pickle: ${told(this.reason).finding}`
  }
  get remedy() {
    return told(this.reason).remedy
  }
}

/** A Python function or class that a pickle may call. */
export interface Global {
  /** Returns the result of a call; `undefined` for unsupported arguments. */
  readonly call: (args: ReadonlyArray<unknown>) => unknown
  /** Applies the state of a value that `call` returned. By default the state is ignored. */
  readonly build?: (value: unknown, state: unknown) => void
}

/** The objects that a pickle may refer to. */
export interface Options {
  /** Functions and classes by name with the module, as `collections.OrderedDict`. */
  readonly globals?: Readonly<Record<string, Global>>
  /** Returns the object of a name that is not listed; `undefined` refuses it. */
  readonly others?: (name: string) => Global | undefined
  /** Returns the object of a persistent identifier, which lies outside of the pickle; `undefined` refuses it. */
  readonly persistent?: (id: unknown) => unknown
}

/** A reference of a pickle to a listed global. */
export class Reference {
  readonly name: string
  readonly global: Global
  constructor(name: string, global: Global) {
    this.name = name
    this.global = global
  }
}

const fail = (reason: Reason): never => {
  throw new PickleError({ reason })
}

class Reading {
  readonly bytes: Uint8Array
  readonly view: DataView
  at = 0
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
  /** Skips `length` bytes, and returns their position. */
  skip(length: number): number {
    const start = this.at
    if (length > this.bytes.length - start) fail({ _tag: "Truncated", length: this.bytes.length })
    this.at += length
    return start
  }
  take(length: number): Uint8Array {
    const start = this.skip(length)
    return this.bytes.subarray(start, start + length)
  }
  uint8 = (): number => this.view.getUint8(this.skip(1))
  uint16 = (): number => this.view.getUint16(this.skip(2), true)
  int32 = (): number => this.view.getInt32(this.skip(4), true)
  uint32 = (): number => this.view.getUint32(this.skip(4), true)
  uint64 = (): number => Number(this.view.getBigUint64(this.skip(8), true))
  float64 = (): number => this.view.getFloat64(this.skip(8), false)
  text = (length: number): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.take(length))
  line = (): string => {
    const end = this.bytes.indexOf(0x0a, this.at)
    if (end < 0) fail({ _tag: "Truncated", length: this.bytes.length })
    const line = this.text(end - this.at)
    this.at++
    return line
  }
  integer = (length: number): number | bigint => {
    const bits = this.take(length).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
    const value = BigInt.asIntN(8 * length, bits)
    return Number.isSafeInteger(Number(value)) ? Number(value) : value
  }
}

const run = (bytes: Uint8Array, { globals = {}, others, persistent }: Options): unknown => {
  const read = new Reading(bytes)
  const memo = new Map<number, unknown>()
  const makers = new WeakMap<object, Global>()
  const marks: Array<number> = []
  const stack: Array<unknown> = []
  let opcodeAt = 0
  const invalid = (problem: string): never => fail({ _tag: "Invalid", at: opcodeAt, problem })

  const push = (value: unknown): void => void stack.push(value)
  const pop = (): unknown => {
    if (stack.length <= (marks.at(-1) ?? 0)) invalid("a value is missing")
    return stack.pop()
  }
  const top = (): unknown => {
    const value = pop()
    push(value)
    return value
  }
  const toMark = (): Array<unknown> => stack.splice(marks.pop() ?? invalid("a mark is missing"))
  const array = (value: unknown): Array<unknown> => Array.isArray(value) ? value : invalid("a list is missing")
  const extend = (values: ReadonlyArray<unknown>): void => {
    const list = array(top())
    for (const value of values) list.push(value)
  }
  const assign = (pairs: ReadonlyArray<unknown>): void => {
    const map = top()
    if (!(map instanceof Map) || pairs.length % 2 !== 0) return invalid("a dictionary is missing")
    for (let i = 0; i < pairs.length; i += 2) map.set(pairs[i], pairs[i + 1])
  }
  const text = (value: unknown): string => typeof value === "string" ? value : invalid("a name is missing")
  const refer = (module: string, name: string): Reference => {
    const full = `${module}.${name}`
    const global = Object.hasOwn(globals, full) ? globals[full] : others?.(full)
    return global === undefined ? fail({ _tag: "Refused", name: full }) : new Reference(full, global)
  }
  const call = (args: unknown, callee: unknown): void => {
    if (!(callee instanceof Reference)) return invalid("a call has no function")
    const made = callee.global.call(array(args))
    if (made === undefined) fail({ _tag: "Arguments", name: callee.name })
    if (typeof made === "object" && made !== null) makers.set(made, callee.global)
    push(made)
  }
  const build = (state: unknown): void => {
    const value = top()
    const maker = typeof value === "object" && value !== null ? makers.get(value) : undefined
    if (maker === undefined) return invalid("a state has no object")
    maker.build?.(value, state)
  }
  const remember = (key: number): void => void memo.set(key, top())
  const recall = (key: number): void => memo.has(key) ? push(memo.get(key)) : invalid(`the memo has no entry ${key}`)
  const dictionary = (pairs: ReadonlyArray<unknown>): void => {
    push(new Map())
    assign(pairs)
  }
  const last = (count: number): Array<unknown> => Array.from({ length: count }, pop).toReversed()

  const instructions: Readonly<Record<number, () => void>> = {
    0x80: () => void read.uint8(), // PROTO
    0x95: () => void read.uint64(), // FRAME
    0x28: () => void marks.push(stack.length), // MARK
    0x30: () => void (marks.at(-1) === stack.length ? marks.pop() : pop()), // POP
    0x31: () => void toMark(), // POP_MARK
    0x32: () => push(top()), // DUP
    0x4e: () => push(null), // NONE
    0x88: () => push(true), // NEWTRUE
    0x89: () => push(false), // NEWFALSE
    0x4a: () => push(read.int32()), // BININT
    0x4b: () => push(read.uint8()), // BININT1
    0x4d: () => push(read.uint16()), // BININT2
    0x8a: () => push(read.integer(read.uint8())), // LONG1
    0x47: () => push(read.float64()), // BINFLOAT
    0x58: () => push(read.text(read.uint32())), // BINUNICODE
    0x8c: () => push(read.text(read.uint8())), // SHORT_BINUNICODE
    0x8d: () => push(read.text(read.uint64())), // BINUNICODE8
    0x42: () => push(read.take(read.uint32())), // BINBYTES
    0x43: () => push(read.take(read.uint8())), // SHORT_BINBYTES
    0x8e: () => push(read.take(read.uint64())), // BINBYTES8
    0x5d: () => push([]), // EMPTY_LIST
    0x6c: () => push(toMark()), // LIST
    0x61: () => extend([pop()]), // APPEND
    0x65: () => extend(toMark()), // APPENDS
    0x29: () => push([]), // EMPTY_TUPLE
    0x85: () => push(last(1)), // TUPLE1
    0x86: () => push(last(2)), // TUPLE2
    0x87: () => push(last(3)), // TUPLE3
    0x74: () => push(toMark()), // TUPLE
    0x7d: () => push(new Map()), // EMPTY_DICT
    0x64: () => dictionary(toMark()), // DICT
    0x73: () => assign(last(2)), // SETITEM
    0x75: () => assign(toMark()), // SETITEMS
    0x71: () => remember(read.uint8()), // BINPUT
    0x72: () => remember(read.uint32()), // LONG_BINPUT
    0x94: () => remember(memo.size), // MEMOIZE
    0x68: () => recall(read.uint8()), // BINGET
    0x6a: () => recall(read.uint32()), // LONG_BINGET
    0x63: () => push(refer(read.line(), read.line())), // GLOBAL
    0x93: () => { // STACK_GLOBAL
      const [module, name] = last(2)
      push(refer(text(module), text(name)))
    },
    0x52: () => call(pop(), pop()), // REDUCE
    0x81: () => call(pop(), pop()), // NEWOBJ
    0x62: () => build(pop()), // BUILD
    0x51: () => push(persistent?.(pop()) ?? invalid("a persistent identifier is unknown")) // BINPERSID
  }

  for (;;) {
    opcodeAt = read.at
    const opcode = read.uint8()
    if (opcode === 0x2e) return pop()
    const instruction = instructions[opcode] ?? invalid(`0x${opcode.toString(16)} is an unsupported instruction`)
    instruction()
  }
}

/**
 * Decodes the value of a pickle.
 *
 * Fails if it refers to a global that is not listed, if it is cut off, and if an instruction is not valid.
 */
export const decode = (bytes: Uint8Array, options: Options = {}): Result.Result<unknown, PickleError> =>
  Result.try({
    try: () => run(bytes, options),
    catch: (cause) =>
      cause instanceof PickleError
        ? cause
        : new PickleError({ reason: { _tag: "Invalid", at: 0, problem: `it cannot be read (${String(cause)})` } })
  })
