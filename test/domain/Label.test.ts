import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import fc from "fast-check"
import * as Label from "../../src/domain/evaluation/Label.ts"

const words = fc.stringMatching(/^[a-zA-Z][a-zA-Z .-]{0,8}[a-zA-Z]$/)

describe("Label", () => {
  it("keeps integers of any size apart, however they are written", () => {
    fc.assert(fc.property(fc.bigInt(), fc.integer({ min: 0, max: 3 }), (number, zeros) => {
      const sign = number < 0n ? "-" : "+"
      const digits = `${number < 0n ? -number : number}`
      for (const text of [`${number}`, ` ${sign}${"0".repeat(zeros)}${digits}\r\n`]) {
        assert.deepStrictEqual(Label.parse(text), Result.succeed(number))
      }
      assert.deepStrictEqual(Label.of(number), Result.succeed(number))
    }))
  })

  it("reads numbers that are whole and exact, and refuses all others", () => {
    fc.assert(fc.property(fc.double(), (number) => {
      const label = Label.of(number)
      assert.strictEqual(Result.isSuccess(label), Number.isSafeInteger(number))
      if (Result.isSuccess(label)) assert.strictEqual(Number(label.success), number === 0 ? 0 : number)
    }))
    assert.include(
      Label.of(2 ** 53).pipe(Result.flip, Result.getOrThrow).finding,
      "not 9007199254740992, which has lost its last digits"
    )
  })

  it("keeps texts as they are", () => {
    fc.assert(fc.property(words, (text) => {
      assert.deepStrictEqual(Label.of(text), Result.succeed(text))
      assert.deepStrictEqual(Label.parse(`\t${text}\n`), Result.succeed(text))
    }))
    assert.deepStrictEqual(Label.of("7"), Result.succeed("7"))
  })

  it.each([[undefined], [null], [""], [" \n"]])(
    "reads %o as no label",
    (value) => assert.deepStrictEqual(Label.of(value), Result.succeed(undefined))
  )

  it.each([
    [true, "true"],
    [false, "false"],
    [[1], "a list"],
    [{ id: 1 }, "an object"],
    [new Date(0), "a time"],
    [Number.NaN, "NaN"],
    [1.6, "1.6"],
    ["caf\ufffd", "bytes that are no UTF-8"]
  ])("refuses %o", (value, found) =>
    assert.strictEqual(
      Label.of(value).pipe(Result.flip, Result.getOrThrow).finding,
      `a label is a text or an integer, not ${found}`
    ))

  it("refuses a text of several lines", () => assert.isTrue(Result.isFailure(Label.parse("0\n1\n"))))

  it("finds names that labels often have", () => {
    const meant = ["Label", "labels", "fine_label", "className", "ClassId", "object.category", "target", "y", "cls2"]
    const others = ["id", "caption", "classify", "targeted", "year", "image", "relabelled", "py"]
    assert.deepStrictEqual(Label.candidates([...others, ...meant]), meant)
  })
})
