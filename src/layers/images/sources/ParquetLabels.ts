/** Finds the column of labels in a Parquet file, and the names of its classes. */
import { Effect, Option, Schema } from "effect"
import type { SchemaTree } from "hyparquet"
import * as Label from "../../../domain/evaluation/Label.ts"
import * as Json from "../../../domain/values/Json.ts"
import { FileDamaged, LabelsUnusable } from "../reading/ImagesError.ts"
import { arrowDurations } from "./ArrowDurations.ts"
import * as Labels from "./Labels.ts"
import * as ParquetFile from "./ParquetFile.ts"

/** The columns to read. */
export interface Columns {
  readonly image: string
  /** Name of the column of labels; `false` for no labels, absent if the user did not choose. */
  readonly label: string | false | undefined
}

/** Default name of the column of labels. */
const DEFAULT = "label"

/** The metadata on columns that Hugging Face writes into a file. */
const Description = Schema.Struct({
  info: Schema.Struct({ features: Schema.Record(Schema.String, Schema.Unknown) })
})

const ClassLabel = Schema.Struct({ _type: Schema.Literal("ClassLabel") })

const Names = Schema.Struct({
  names: Schema.Union([Schema.Array(Schema.String), Schema.Record(Schema.String, Schema.String)])
})

/** Returns the names of a column's classes: a list, or names by numbers. Returns undefined if the file names none. */
const namesOf = Effect.fnUntraced(function*(features: Readonly<Record<string, unknown>>, column: string) {
  const feature = Object.hasOwn(features, column) ? features[column] : undefined
  const { names } = Option.getOrElse(Schema.decodeUnknownOption(Names)(feature), () => ({ names: undefined }))
  const counted = names === undefined
    ? []
    : Object.entries(names).toSorted(([one], [other]) => Number(one) - Number(other))
  if (names !== undefined && counted.every(([key], at) => key === String(at))) return counted.map(([, name]) => name)
  if (names === undefined && !Schema.is(ClassLabel)(feature)) return undefined
  return yield* new LabelsUnusable({
    problem: `the description of the column "${column}" names classes, but not for every number from 0 on`,
    remedy: "write it with a list of names"
  })
})

/** Explains why a column of this type cannot hold labels. Returns undefined if it can. */
const unfit = ({ children, element }: SchemaTree): string | undefined => {
  const { converted_type: converted, logical_type: logical, repetition_type: repetition, type } = element
  if (repetition === "REPEATED" || converted === "LIST") return "a list"
  if (children.length > 0) return converted?.startsWith("MAP") ? "a map" : "a struct"
  const meaning = logical?.type ?? converted
  const isText = type === "BYTE_ARRAY" && (meaning === undefined || ["STRING", "UTF8", "ENUM"].includes(meaning))
  const isInteger = (type === "INT32" || type === "INT64") &&
    (meaning === undefined || meaning === "INTEGER" || meaning === "NULL" || /^U?INT_\d+$/.test(meaning))
  return isText || isInteger
    ? undefined
    : `of the type ${[type, meaning].filter((part) => part !== undefined).join(" ")}`
}

const decoder = new TextDecoder()

/** Finds the column of labels. Returns undefined if there is none. */
const columnOf = Effect.fnUntraced(function*(
  { children }: SchemaTree,
  described: Readonly<Record<string, unknown>>,
  { image, label: asked }: Columns
) {
  const label = asked ?? DEFAULT
  const columns = children.map(({ element }) => element.name)
  const count = columns.filter((name) => name === label).length
  if (count > 1) {
    return yield* new LabelsUnusable({
      problem: `there are ${count} columns "${label}"`,
      remedy: "give each its own name"
    })
  }
  const column = children.find(({ element }) => element.name === label)
  if (column !== undefined) {
    const problem = unfit(column)
    if (problem === undefined) return column
    const others = columns.filter((name) => name !== image && name !== label)
    const another = others.length === 0 ? "read" : `name one of ${others.join(", ")} by --label-column, or`
    return yield* new LabelsUnusable({
      problem: `the column "${label}" is ${problem}, and labels are texts or integers`,
      remedy: `${another} none by --label-column none`
    })
  }
  if (label === false) return undefined
  const classLabels = columns.filter((name) => Schema.is(ClassLabel)(described[name]))
  const meant = new Set([...classLabels, ...Label.candidates(columns.filter((name) => name !== image))])
  if (asked !== undefined) return yield* ParquetFile.damaged(`it has no column "${label}", only ${columns.join(", ")}`)
  if (meant.size === 0) return undefined
  return yield* new LabelsUnusable({
    problem: `there is no column "${label}", but ${[...meant].join(", ")} could be the labels`,
    remedy: `name one by --label-column ${[...meant][0]}, or none by --label-column none`
  })
})

/**
 * Reads the labels of a file, with their source. Fails with `LabelsUnusable` if it is not clear which column holds the
 * labels, and with `FileDamaged` if the requested column is missing.
 */
export const labelsOf = Effect.fnUntraced(function*(
  parquet: ParquetFile.ParquetFile,
  columns: Columns,
  describe: (row: number) => string
) {
  const { metadata, schema } = parquet
  const label = columns.label ?? DEFAULT
  const { value: text = "{}" } = metadata.key_value_metadata?.find(({ key }) => key === "huggingface") ?? {}
  const description = yield* Effect.mapError(
    Effect.fromResult(Json.parse(text)),
    ({ problem }) => new FileDamaged({ problem: `its description of the columns, huggingface: ${problem}` })
  )
  const described = Option.match(Schema.decodeUnknownOption(Description)(description), {
    onNone: () => ({}),
    onSome: ({ info }) => info.features
  })
  const column = yield* columnOf(schema, described, columns)
  if (column === undefined || label === false) {
    const missing = label === false
      ? "nothing, as asked"
      : `nothing: there is no column "${label}", only ${schema.children.map(({ element }) => element.name).join(", ")}`
    return {
      labels: Array.from({ length: parquet.rows }, () => undefined),
      names: undefined,
      source: { read: missing, missing }
    }
  }
  const arrow = metadata.key_value_metadata?.find(({ key }) => key === "ARROW:schema")?.value
  const durations = arrow === undefined ? [] : yield* ParquetFile.attempt(async () => arrowDurations(arrow))
  if (durations.includes(label)) {
    return yield* new LabelsUnusable({
      problem: `the column "${label}" holds durations, and labels are texts or integers`,
      remedy: "name another column by --label-column, or read no labels by --label-column none"
    })
  }
  const cells = yield* ParquetFile.read(parquet, label)
  const names = yield* namesOf(described, label)
  if (names !== undefined) yield* Labels.distinct(names)
  const read = yield* Labels.readAll(
    cells,
    (cell) => Label.of(cell instanceof Uint8Array ? decoder.decode(cell) : cell),
    describe
  )
  const labels = names === undefined
    ? read
    : read.map((one) => typeof one === "bigint" && one >= 0n ? names[Number(one)] ?? one : one)
  const missing = `nothing: the column "${label}" is empty`
  return { labels, names, source: { read: `the column "${label}"`, missing } }
})
