/** The labels of a Parquet file: in which column they are, and what its numbers are called. */
import { Effect, Option, Schema } from "effect"
import type { SchemaTree } from "hyparquet"
import * as Label from "../../../domain/evaluation/Label.ts"
import * as Json from "../../../domain/values/Json.ts"
import { FileDamaged, LabelsUnusable } from "../reading/ImagesError.ts"
import { arrowDurations } from "./ArrowDurations.ts"
import * as Labels from "./Labels.ts"
import * as ParquetFile from "./ParquetFile.ts"

/** The columns that are read. */
export interface Columns {
  readonly image: string
  /** That of the labels; `false` where none are wanted, absent where nobody said. */
  readonly label: string | false | undefined
}

/** The column of the labels, where nobody said another. */
const DEFAULT = "label"

/** What Hugging Face writes into a file about its columns. */
const Description = Schema.Struct({
  info: Schema.Struct({ features: Schema.Record(Schema.String, Schema.Unknown) })
})

const ClassLabel = Schema.Struct({ _type: Schema.Literal("ClassLabel") })

const Names = Schema.Struct({
  names: Schema.Union([Schema.Array(Schema.String), Schema.Record(Schema.String, Schema.String)])
})

/** The names of a column's classes, a list or by their numbers; nothing where none are told. */
const namesOf = Effect.fnUntraced(function*(features: Readonly<Record<string, unknown>>, column: string) {
  const feature = Object.hasOwn(features, column) ? features[column] : undefined
  const { names } = Option.getOrElse(Schema.decodeUnknownOption(Names)(feature), () => ({ names: undefined }))
  const counted = names === undefined
    ? []
    : Object.entries(names).toSorted(([one], [other]) => Number(one) - Number(other))
  if (names !== undefined && counted.every(([key], at) => key === String(at))) return counted.map(([, name]) => name)
  if (names === undefined && !Schema.is(ClassLabel)(feature)) return undefined
  return yield* new LabelsUnusable({
    problem:
      `the description of the column "${column}" names classes, but not each from 0 on; write it with a list of names`
  })
})

/** Why a column cannot hold labels, by its type; nothing where it can. */
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

/** The column of the labels; nothing where there is none. */
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
      problem: `there are ${count} columns "${label}"; give each a name of its own`
    })
  }
  const column = children.find(({ element }) => element.name === label)
  if (column !== undefined) {
    const problem = unfit(column)
    if (problem === undefined) return column
    const others = columns.filter((name) => name !== image && name !== label)
    const another = others.length === 0 ? "read" : `name one of ${others.join(", ")} by --label-column, or`
    return yield* new LabelsUnusable({
      problem: `the column "${label}" is ${problem}, and labels are texts or integers; ` +
        `${another} none by --label-column none`
    })
  }
  if (label === false) return undefined
  const classLabels = columns.filter((name) => Schema.is(ClassLabel)(described[name]))
  const meant = new Set([...classLabels, ...Label.candidates(columns.filter((name) => name !== image))])
  if (asked !== undefined) return yield* ParquetFile.damaged(`it has no column "${label}", only ${columns.join(", ")}`)
  if (meant.size === 0) return undefined
  return yield* new LabelsUnusable({
    problem: `there is no column "${label}", but ${[...meant].join(", ")} could be meant; ` +
      `name one by --label-column ${[...meant][0]}, or none by --label-column none`
  })
})

/** The labels of a file, with what they were read from. Fails where no column, or more than one, can be meant. */
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
      problem:
        `the column "${label}" is of durations, and labels are texts or integers; name one by --label-column, or ` +
        "read none by --label-column none"
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
