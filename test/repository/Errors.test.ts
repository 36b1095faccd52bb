import { assert, describe, it } from "@effect/vitest"
import { Schema, SchemaAST } from "effect"
import { join } from "node:path"
import * as Failure from "../../src/cli/terminal/Failure.ts"
import { message, type Told } from "../../src/domain/values/TaggedError.ts"
import { filesUnder, root } from "./rules.ts"

interface ErrorClass {
  new(fields: object): Error & Told
  readonly identifier: string
  readonly fields: Readonly<Record<string, Schema.Top>>
}

const isErrorClass = (value: unknown): value is ErrorClass =>
  typeof value === "function" && value.prototype instanceof Error && "fields" in value

const same: Readonly<Record<string, unknown>> = {
  stage: "tokenizer",
  program: "tokenizer",
  teacher: "hog",
  step: 3,
  directory: "runs/x",
  folder: "runs/x",
  path: "runs/x/log",
  batch: "replay/tokenizer-step-3"
}

const told = /(?<![-/.])\b(tokenizer|hog|step 3|runs\/x)\b/g

let words = 0

const sample = (ast: SchemaAST.AST, name: string): ReadonlyArray<unknown> => {
  if (SchemaAST.isUnion(ast)) return ast.types.flatMap((type) => sample(type, name))
  if (SchemaAST.isLiteral(ast)) return [ast.literal]
  if (SchemaAST.isNull(ast)) return [null]
  if (SchemaAST.isBoolean(ast)) return [true, false]
  if (SchemaAST.isNumber(ast)) return [++words]
  if (SchemaAST.isArrays(ast)) return [[sample([...ast.elements, ...ast.rest][0]!, name)[0]]]
  if (SchemaAST.isObjects(ast)) {
    return combined(ast.propertySignatures.map(({ name, type }) => [String(name), sample(type, String(name))]))
  }
  return SchemaAST.isDeclaration(ast) ? [new Error(`cause${words++}`)] : [`${name}${words++}`]
}

const combined = (fields: ReadonlyArray<readonly [string, ReadonlyArray<unknown>]>) =>
  Array.from(
    { length: Math.max(1, ...fields.map(([, values]) => values.length)) },
    (_, i) => Object.fromEntries(fields.map(([name, values]) => [name, values[i % values.length]]))
  )

const errors = (type: ErrorClass): ReadonlyArray<Error & Told> => {
  const { _tag, ...fields } = type.fields
  const about = "reason" in fields ? { ...same, source: same["path"] } : same
  return combined(
    Object.entries(fields).map(([name, field]) => [name, name in about ? [about[name]] : values(field, name)])
  ).map((given) => new type(given))
}

const values = (field: unknown, name: string): ReadonlyArray<unknown> => {
  if (isErrorClass(field)) return errors(field)
  if (!Schema.isSchema(field)) return []
  return "members" in field && Array.isArray(field.members) && field.members.some(isErrorClass)
    ? field.members.flatMap((member) => values(member, name))
    : sample(field.ast, name)
}

const repeated = (found: ReadonlyArray<string>): ReadonlyArray<string> =>
  found.filter((one, index) => found.indexOf(one) < index)

const phrases = (message: string): ReadonlyArray<string> => {
  const all = message.toLowerCase().match(/[^\s,;:()"]+/g) ?? []
  return all.slice(2).map((_, index) => all.slice(index, index + 3).join(" "))
}

const repetitions = (message: string): ReadonlyArray<string> =>
  [...repeated(message.match(told) ?? []), ...repeated(phrases(message))].map((what) => `${what}: ${message}`)

const modules = await Promise.all(
  filesUnder("src")
    .filter(({ text }) => / TaggedError<\w+>\(/.test(text))
    .map(async ({ path }): Promise<Readonly<Record<string, unknown>>> => import(join(root, path)))
)

const classes = [...new Set(modules.flatMap((module) => Object.values(module).filter(isErrorClass)))]

describe("the errors", () => {
  it("are found", () => {
    const inText = filesUnder("src").flatMap(({ text }) => text.match(/ TaggedError<\w+>\(/g) ?? [])
    assert.strictEqual(classes.length, inText.length)
    const others = filesUnder("src").filter(({ text }) => text.includes("extends Schema.TaggedError<"))
    assert.deepStrictEqual(others.map(({ path }) => path), [])
  })

  it.each(classes.map((type) => [type.identifier, type] as const))("%s says what to do", (_, type) => {
    for (const error of errors(type)) {
      const { finding, remedy } = error
      assert.match(finding, /\S$/)
      assert.match(remedy, /^[a-z]/)
      assert.notInclude(finding, remedy)
      assert.strictEqual(error.message, message({ finding, remedy }))
    }
  })

  const places = ["path", "file", "directory", "folder", "run"]

  it.each(
    classes.filter(({ fields }) => places.some((name) => name in fields)).map((type) =>
      [type.identifier, type] as const
    )
  )("%s gives a program its file", (_, type) => {
    for (const error of errors(type)) assert.match(String(Failure.of(error).file), /^(run|path|file)/)
  })

  it.each(classes.map((type) => [type.identifier, type] as const))("%s says nothing twice", (_, type) => {
    assert.deepStrictEqual(errors(type).flatMap(({ message }) => repetitions(message)), [])
  })

  it.each(
    classes.filter(({ identifier }) => !["TeacherError", "WeightsError"].includes(identifier)).map((type) =>
      [type.identifier, type] as const
    )
  )(
    "%s has reasons of one level",
    (_, { fields }) => {
      const reason = fields["reason"]
      const members = reason !== undefined && "members" in reason && Array.isArray(reason.members) ? reason.members : []
      assert.deepStrictEqual(
        members.filter((member) => isErrorClass(member) && "reason" in member.fields).map(({ identifier }) =>
          identifier
        ),
        []
      )
    }
  )
})
