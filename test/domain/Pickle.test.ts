import { assert, describe, it } from "@effect/vitest"
import { Result, Runtime } from "effect"
import * as Pickle from "../../src/domain/weights/Pickle.ts"

const bytes = (hex: string): Uint8Array => Buffer.from(hex, "hex")
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)

const read = (given: Uint8Array, options?: Pickle.Options) => Result.getOrThrow(Pickle.decode(given, options))
const refused = (given: Uint8Array, options?: Pickle.Options) =>
  Result.getOrThrow(Result.flip(Pickle.decode(given, options)))

const long = "78".repeat(300)

const ofPython: Readonly<Record<number, string>> = {
  2: "80027d71002858010000006171015d7102284b014bff4dffff4affffffff4affffff7f8a060000000000ff8a0900000000000000004047" +
    "3ff80000000000004e8889655801000000627103295801000000637104284b018571054b014b028671064b014b024b03877107284b014b02" +
    `4b034b047471087471095802000000c3a9710a582c010000${long}710b580100000064710c7d710d4b015d710e5d710f6173580500000061` +
    "6761696e71106802752e",
  4: "800495b5010000000000007d94288c0161945d94284b014bff4dffff4affffffff4affffff7f8a060000000000ff8a0900000000000000" +
    "0040473ff80000000000004e8889658c016294298c016394284b0185944b014b0286944b014b024b038794284b014b024b034b0474947494" +
    `8c02c3a994582c010000${long}948c0164947d944b015d945d9461738c05616761696e946802752e`
}

const harmful =
  "80027d710058050000006d6f64656c710163706f7369780a73797374656d0a71025804000000747275657103857104527105732e"

describe("Pickle", () => {
  it.each(Object.keys(ofPython).map(Number))("reads what Python wrote by protocol %i", (protocol) => {
    const list = [1, 255, 65535, -1, 2 ** 31 - 1, -(2 ** 40), 2n ** 70n, 1.5, null, true, false]
    const value = read(bytes(ofPython[protocol]!))
    assert.instanceOf(value, Map)
    assert.deepStrictEqual([...value], [
      ["a", list],
      ["b", []],
      ["c", [[1], [1, 2], [1, 2, 3], [1, 2, 3, 4]]],
      ["é", "x".repeat(300)],
      ["d", new Map([[1, [[]]]])],
      ["again", list]
    ])
    assert.strictEqual(value.get("again"), value.get("a"))
  })

  it("names what it does not call", () => {
    const error = refused(bytes(harmful))
    assert.deepStrictEqual(error.reason, { _tag: "Refused", name: "posix.system" })
    assert.strictEqual(error[Runtime.errorExitCode], 65)
    assert.include(error.message, "posix.system")
    const byStack = Buffer.concat([bytes("80048c05706f736978"), bytes("8c0673797374656d"), bytes("932e")])
    assert.deepStrictEqual(refused(byStack).reason, { _tag: "Refused", name: "posix.system" })
    for (const name of ["constructor", "__proto__"]) {
      assert.deepStrictEqual(refused(ascii(`c\n${name}\n.`), { globals: {} }).reason, {
        _tag: "Refused",
        name: `.${name}`
      })
    }
  })

  it("calls what is listed, with the state that follows", () => {
    const seen: Array<unknown> = []
    const globals = {
      "a.Pair": { call: (args: ReadonlyArray<unknown>) => (args.length === 2 ? new Set(args) : undefined) },
      "a.Box": { call: () => new Set(), build: (value: unknown, state: unknown) => void seen.push(value, state) }
    }
    const pair = (count: number) => ascii(`ca\nPair\n(${"K\u0001".repeat(count)}tR.`)
    assert.deepStrictEqual(read(pair(2), { globals }), new Set([1]))
    assert.deepStrictEqual(refused(pair(1), { globals }).reason, { _tag: "Arguments", name: "a.Pair" })
    const box = Buffer.concat([ascii("ca\nBox\n"), bytes("29817d622e")])
    assert.deepStrictEqual(read(box, { globals }), new Set())
    assert.deepStrictEqual(seen, [new Set(), new Map()])
  })

  it("asks for what is outside of it", () => {
    const persistent = (id: unknown) => (id === "x" ? 7 : undefined)
    assert.strictEqual(read(ascii("X\u0001\0\0\0xQ."), { persistent }), 7)
    assert.strictEqual(refused(ascii("X\u0001\0\0\0yQ."), { persistent }).reason._tag, "Invalid")
  })

  it.each([
    ["an instruction of another kind", "i."],
    ["a value that is missing", "0."],
    ["a mark that is missing", "t."],
    ["a value on the other side of a mark", "N(0N0a."],
    ["items of no dictionary", "](K\u0001K\u0002u."],
    ["a dictionary of odd items", "}(K\u0001u."],
    ["elements of no list", "}K\u0001a."],
    ["a call of no function", "K\u0001)R."],
    ["a state of nothing", "K\u0001}b."],
    ["nothing remembered", "h\u0007."]
  ])("refuses %s", (_, text) => {
    assert.strictEqual(refused(ascii(text)).reason._tag, "Invalid")
  })

  it("fails wherever it is cut off", () => {
    const whole = bytes(ofPython[2]!)
    for (let length = 0; length < whole.length; length++) {
      assert.deepStrictEqual(refused(whole.subarray(0, length)).reason, { _tag: "Truncated", length })
    }
  })
})
