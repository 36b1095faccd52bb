import { createHash } from "node:crypto"
import { children, functions, type Node, parse } from "./Source.ts"

/** A change of one place of a source. */
export interface Mutant {
  /** The path of the source. */
  readonly file: string
  /** The line of the change, counted from 1, its text, and the place of the change in that. */
  readonly line: number
  readonly code: string
  readonly column: number
  readonly start: number
  readonly end: number
  readonly before: string
  readonly after: string
  /** The number of the innermost function around the change, outer functions first; -1 outside of functions. */
  readonly inside: number
}

const swapped: Readonly<Record<string, string>> = {
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
  "%": "*",
  "**": "*",
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "===": "!==",
  "!==": "===",
  "&&": "||",
  "||": "&&",
  ">>": "<<",
  "<<": ">>",
  ">>>": "<<",
  "&": "|",
  "|": "&",
  "^": "&",
  "+=": "-=",
  "-=": "+=",
  "*=": "/=",
  "/=": "*=",
  "++": "--",
  "--": "++"
}

/** Functions that take the same arguments as another one. They are twins where both have a name in the source or in its library. */
const twins: ReadonlyMap<string, string> = new Map(
  [
    ["min", "max"],
    ["minimum", "maximum"],
    ["add", "sub"],
    ["mul", "div"],
    ["floor", "ceil"],
    ["round", "trunc"],
    ["sin", "cos"],
    ["some", "every"],
    ["psum", "pmean"]
  ].flatMap(([a, b]) => [[a!, b!], [b!, a!]])
)

const nameOf = (node: Node): string =>
  node.type === "Identifier"
    ? node["name"]
    : node.type === "MemberExpression" && !node["computed"]
    ? `${nameOf(node["object"])}.${nameOf(node["property"])}`
    : ""

/** Returns the names that a source imports or declares outside of functions. */
const namesOf = (tree: Node): ReadonlySet<string> =>
  new Set(
    (tree["body"] as ReadonlyArray<Node>).flatMap(({ declaration, declarations, specifiers }) => [
      ...(specifiers ?? []).map(({ local }: Node) => local),
      ...(declarations ?? declaration?.declarations ?? []).map(({ id }: Node) => id)
    ]).map(nameOf)
  )

/** Libraries that have both functions of a pair. */
const libraries = /^(?:Math|tf|Dim|Collective)$/

/** Functions of numbers or tensors whose result can take the place of their first argument. */
const like =
  /^(?:l2Normali[sz]e|stopGradient|straightThrough|layerNorm|batchNorm|gelu|quickGelu|relu|tanh|sigmoid|(?:log)?[sS]oftmax|exp|log|log2|sqrt|square|abs|neg|scale|scaleBy|add|sub|mul|div|pow|min|max|minimum|maximum|clamp|clip\w*|floor|ceil|round|trunc|fround|transpose|normali[sz]e\w*|select|dropPath|psum|pmean|reverse|pad|tile|concat)$/

/** Methods of lists that can be left out. */
const listed = /^(?:toSorted|sort|reverse|toReversed|filter|slice|subarray)$/

/** Calls that make errors, schemas and texts: nothing in them is a number of the method. */
const wordy =
  /(?:^|\.)(?:fail|die|annotate|join|padEnd|padStart|toFixed|toPrecision|toExponential|toLocaleString|test|match|replace|replaceAll|startsWith|endsWith|split)$|^Schema\.|Error$|^Error|^ShapeError\.|(?:^|\.)(?:explain|refuse|check[A-Z]?\w*|assert\w*)$/

/** Members of records that are texts. */
const worded = /^(?:message|title|remedy|description|documentation|identifier|expected|label|unit|name)$/

const fails = (node: Node | null): boolean =>
  node !== null && (node.type === "ThrowStatement" ||
    (node.type === "BlockStatement" && node["body"].length === 1 && fails(node["body"][0])) ||
    (node.type === "ExpressionStatement" && fails(node["expression"])) ||
    (node.type === "ReturnStatement" && fails(node["argument"])) ||
    (/^(?:New|Call)Expression$/.test(node.type) && wordy.test(nameOf(node["callee"]))))

const isText = (node: Node): boolean =>
  node.type === "TemplateLiteral" || (node.type === "Literal" && typeof node["value"] === "string") ||
  (node.type === "BinaryExpression" && node["operator"] === "+" && (isText(node["left"]) || isText(node["right"])))

/** Whether a node decides texts, types or refusals, and no numbers. */
const ignored = (node: Node): boolean =>
  isText(node) || fails(node) || /^(?:Import|Export(?:All|Specifier)|ClassDeclaration)/.test(node.type) ||
  (node.type === "IfStatement" && fails(node["consequent"])) ||
  // A call for its effect that is told a name is a check: `int32("lookup", codes)`.
  (node.type === "ExpressionStatement" && node["expression"].arguments?.some(isText)) ||
  (node.type === "Property" && worded.test(nameOf(node["key"])))

const numbers = (value: number): ReadonlyArray<number> =>
  Array.from(new Set([value + 1, value - 1, value * 2, 0])).filter((other) => other !== value && other >= 0)

type Change = readonly [at: { readonly start: number; readonly end: number }, after: string]

/** The changes of one node. */
const changes = (node: Node, text: string, names: ReadonlySet<string>): ReadonlyArray<Change> => {
  const of = ({ end, start }: Node): string => text.slice(start, end)
  const { argument, arguments: given, callee, consequent, alternate, expression, left, operator, right, test, value } =
    node
  const operation = (): ReadonlyArray<Change> => {
    const other = swapped[operator]
    const at = left.end + text.slice(left.end, right.start).indexOf(operator)
    return other === undefined ? [] : [[{ start: at, end: at + operator.length }, other]]
  }
  switch (node.type) {
    case "Literal":
      return typeof value === "number"
        ? numbers(value).map((other) => [node, String(other)])
        : typeof value === "boolean"
        ? [[node, String(!value)]]
        : []
    case "BinaryExpression":
    case "LogicalExpression":
      return operation()
    case "AssignmentExpression":
      return operator === "=" ? [] : [...operation(), [node, `${of(left)} = ${of(right)}`]]
    case "UpdateExpression": {
      const other = swapped[operator]!
      return [[node, node["prefix"] ? other + of(argument) : of(argument) + other]]
    }
    case "UnaryExpression":
      return operator === "-" || operator === "!" ? [[node, `(${of(argument)})`]] : []
    case "ConditionalExpression":
      return fails(consequent) || fails(alternate) ? [] : [[test, `!(${of(test)})`]]
    case "IfStatement":
    case "WhileStatement":
      return [[test, `!(${of(test)})`]]
    case "ExpressionStatement":
      return /^(?:Assignment|Call|Update)Expression$/.test(expression.type) ? [[node, ";"]] : []
    case "CallExpression": {
      const own = callee.type === "MemberExpression" && !callee["computed"] ? callee["property"] : callee
      const other = twins.get(nameOf(own))
      const isThere = own === callee
        ? names.has(other ?? "")
        : /^(?:some|every)$/.test(nameOf(own)) || libraries.test(nameOf(callee["object"]))
      const kept: ReadonlyArray<Node> = given
      return [
        ...(other !== undefined && isThere ? [[own, other] as const] : []),
        ...(like.test(nameOf(own)) && kept.length > 0 && kept[0]!.type !== "SpreadElement"
          ? [[node, `(${of(kept[0]!)})`] as const]
          : []),
        ...(listed.test(nameOf(own)) && callee.type === "MemberExpression" && nameOf(callee["object"]) !== "tf"
          ? [[node, of(callee["object"])] as const]
          : [])
      ]
    }
    default:
      return []
  }
}

const placed = (text: string, start: number): Pick<Mutant, "line" | "code" | "column"> => {
  const before = text.slice(0, start).split("\n")
  const code = text.split("\n")[before.length - 1]!
  return { line: before.length, code: code.trim(), column: before.at(-1)!.trimStart().length }
}

/** Returns all mutants of a source, in the order of their places. */
export const of = (file: string, text: string): ReadonlyArray<Mutant> => {
  let functions = -1
  const tree = parse(text)
  const names = namesOf(tree)
  const walk = (node: Node, inside: number): ReadonlyArray<Mutant> => {
    const isFunction = /Function/.test(node.type) && typeof node["body"] === "object" && node["body"] !== null
    const own = isFunction ? ++functions : inside
    const found = ignored(node) ? [] : changes(node, text, names).map(([{ end, start }, after]): Mutant => ({
      file,
      ...placed(text, start),
      start,
      end,
      before: text.slice(start, end),
      after,
      inside: own
    }))
    const below = children(node).flatMap((child) => walk(child, own))
    return ignored(node) ? [] : [...found, ...below]
  }
  return walk(tree, -1)
}

/** Makes a mutant that replaces the only place of a text. */
export const replace = (file: string, text: string, before: string, after: string): Mutant => {
  const start = text.indexOf(before)
  if (start === -1 || text.includes(before, start + 1)) throw new Error(`${file}: expected one place of ${before}`)
  const end = start + before.length
  const inside = functions(parse(text)).findLastIndex((node) => node.start <= start && end <= node.end)
  return { file, ...placed(text, start), start, end, before, after, inside }
}

/** Returns the text of a source with a mutant. */
export const apply = (mutant: Mutant, text: string): string => {
  const { after, before, end, file, start } = mutant
  if (text.slice(start, end) !== before) throw new Error(`${file} has changed since its mutants were drawn`)
  return text.slice(0, start) + after + text.slice(end)
}

/**
 * Draws `count` of the mutants, by a seed. Places are drawn, and then one change of each. A line that moves keeps its mutants. Equal lines
 * of a source count as one.
 */
export const draw = (mutants: ReadonlyArray<Mutant>, count: number, seed: number): ReadonlyArray<Mutant> => {
  const key = ({ after, code, column, file }: Mutant, way: boolean) =>
    createHash("sha256").update(JSON.stringify([seed, file, code, column, way ? after : ""])).digest("hex")
  const places = Map.groupBy(mutants, (mutant) => key(mutant, false))
  return Array.from(places).toSorted(([a], [b]) => (a < b ? -1 : 1)).slice(0, count).map(([, ways]) =>
    ways.toSorted((a, b) => (key(a, true) < key(b, true) ? -1 : 1))[0]!
  )
}
