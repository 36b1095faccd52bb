import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import * as Images from "../../../src/layers/images/Images.ts"
import { load, refused } from "./ImagesContract.ts"

const file = (name: string) => fileURLToPath(new URL(`./fixtures/labels/${name}.parquet`, import.meta.url))

const open = (names: string | ReadonlyArray<string>, options?: Images.ParquetOptions) =>
  load(Images.layerParquet({ train: [names].flat().map(file) }, options))

const namesOf = ({ classes, labels }: { readonly classes: ReadonlyArray<string>; readonly labels: Int32Array }) =>
  Array.from(labels, (label) => classes[label])

describe("labels in Parquet", () => {
  it.effect.each(
    [
      ["word", ["cat", "dog", "eel"], [1, 0, 1, 2]],
      ["text", ["1", "cat", "dog"], [2, 1, 2, 0]],
      ["dictionary", ["cat", "dog", "eel"], [1, 0, 1, 2]],
      ["long", ["9007199254740992", "9007199254740993", "9007199254740994"], [0, 1, 2, 1]],
      ["unsigned", ["18446744073709551614", "18446744073709551615", "9223372036854775808"], [1, 0, 2, 1]],
      ["huge", ["0", "1", "4294967296", "4294967297"], [2, 1, 3, 0]],
      ["byte", ["0", "1", "2"], [0, 1, 2, 1]],
      ["short", ["0", "1", "2"], [0, 1, 2, 1]],
      ["void", ["."], [0, 0, 0, 0]]
    ] as const
  )("are read from the column %s", ([label, classes, labels]) =>
    Effect.map(open("kinds", { label }), (set) => {
      assert.deepStrictEqual(set.classes, classes)
      assert.deepStrictEqual([...set.labels], [...labels])
      assert.include(set.labelSource, `the column "${label}"`)
    }))

  it.effect.each(
    [
      ["truth", "is of the type BOOLEAN"],
      ["real", "is of the type DOUBLE"],
      ["whole", "is of the type FLOAT"],
      ["many", "is a list"],
      ["nested", "is a struct"],
      ["map", "is a map"],
      ["time", "is of the type INT64 TIMESTAMP"],
      ["day", "is of the type INT32 DATE"],
      ["price", "is of the type FIXED_LEN_BYTE_ARRAY DECIMAL"]
    ] as const
  )(
    "are refused in the column %s, which %s",
    ([label, said]) =>
      Effect.map(refused(open("kinds", { label }), "LabelsUnusable", 65), (message) => {
        assert.include(message, `kinds.parquet: the labels cannot be used: the column "${label}" ${said}, `)
        assert.include(message, "labels are texts or integers; name one of ")
      })
  )

  it.effect("are named by a list of the description, or by their numbers", () =>
    Effect.map(open("mapped"), (set) => {
      assert.deepStrictEqual(set.classes, ["cat", "dog", "eel"])
      assert.deepStrictEqual([...set.labels], [0, 1, 2, 1])
    }))

  it.effect.each(
    [
      ["gaps", "the description of the column \"label\" names classes, but not for every number from 0 on"],
      ["durations", "the column \"label\" holds durations"],
      ["double", "there are 2 columns \"label\""]
    ] as const
  )(
    "are refused of %s, where %s",
    ([name, said]) => Effect.map(refused(open(name), "LabelsUnusable", 65), (message) => assert.include(message, said))
  )

  it.effect("are read from a column beside durations", () =>
    Effect.map(
      open("durations", { label: "number" }),
      ({ labels }) => assert.deepStrictEqual([...labels], [0, 1, 2, 1])
    ))

  it.effect("are refused where bytes are no text", () =>
    Effect.map(
      refused(open("kinds", { label: "bytes" }), "LabelsUnusable", 65),
      (message) =>
        assert.include(message, "kinds.parquet row 0: a label is a text or an integer, not bytes that are no UTF-8")
    ))

  it.effect("are refused below 0 and beyond the classes, by their numbers", () =>
    Effect.gen(function*() {
      const minus = yield* refused(open("kinds", { label: "minus" }), "LabelUnknown", 65)
      assert.include(minus, "kinds.parquet row 1 has the label -1, but classes are numbers from 0")
      const beyond = yield* refused(open("beyond"), "LabelUnknown", 65)
      assert.include(beyond, "beyond.parquet row 3 has the label \"3\", which is none of the 3 classes")
      const wide = yield* refused(open("kinds", { label: "huge", classes: ["a", "b"] }), "LabelUnknown", 65)
      assert.include(wide, "row 0 has the label \"4294967296\", which is none of the 2 classes")
    }))

  it.effect.each(["holes", "blank"])(
    "are refused where one is missing, in the column %s",
    (label) =>
      Effect.map(
        refused(open("kinds", { label }), "LabelMissing", 65),
        (message) =>
          assert.include(message, `kinds.parquet row 1 has no label, though other images have (the column "${label}")`)
      )
  )

  it.effect("are looked for where they could be meant, and none are read when none are wanted", () =>
    Effect.gen(function*() {
      const meant = yield* refused(open("meant"), "LabelsUnusable", 65)
      assert.include(meant, "there is no column \"label\", but species, fine_label could be the labels; ")
      assert.deepStrictEqual((yield* open("meant", { label: "species" })).classes, ["ape", "bee", "cat"])
      const none = yield* open("meant", { label: false })
      assert.deepStrictEqual([none.classes, none.labelSource], [["."], "nothing, as asked"])
      const unlabelled = yield* open("unlabelled")
      assert.deepStrictEqual(unlabelled.classes, ["."])
      assert.strictEqual(unlabelled.labelSource, "nothing: there is no column \"label\", only image, id, caption")
    }))

  it.effect("of several files meet by name", () =>
    Effect.gen(function*() {
      const expected = ["ape", "bee", "cat", "bee"]
      for (const names of [["named", "turned"], ["turned", "named"], ["named", "texts"], ["texts", "turned"]]) {
        assert.deepStrictEqual(namesOf(yield* open(names)), [...expected, ...expected], names.join())
      }
      assert.deepStrictEqual((yield* open(["turned", "named"])).classes, ["cat", "bee", "ape"])
      const classes = ["bee", "cat", "ape"]
      assert.deepStrictEqual(namesOf(yield* open(["named", "turned"], { classes })), [...expected, ...expected])
      const renamed = yield* open(["named", "turned"], { classes: ["Affe", "Biene", "Katze"] })
      assert.deepStrictEqual(namesOf(renamed).slice(4), ["Affe", "Biene", "Katze", "Biene"])
    }))

  it.effect.each([["named", "bare"], ["bare", "turned"], ["named", "others"], ["others", "texts", "turned"]])(
    "of files that name their numbers otherwise are refused with both files: %s",
    (names) =>
      Effect.map(refused(open(names), "LabelsUnusable", 65), (message) => {
        for (const name of [names[0]!, names.at(-1)!]) assert.include(message, `${name}.parquet`)
        assert.include(message, "have different names of classes")
      })
  )

  it.effect("are refused where two classes have one name", () =>
    Effect.map(
      refused(open("twice"), "LabelsUnusable", 65),
      (message) => assert.include(message, "twice.parquet: the labels cannot be used: the class \"ape\" occurs twice")
    ))
})
