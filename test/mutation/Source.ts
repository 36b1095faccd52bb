import { parseAst } from "vitest/node"
import { REACHED } from "./Reached.ts"

/** A node of a syntax tree. */
export interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  // The tree has a type for each kind of node; what is read here is tested for.
  readonly [key: string]: any
}

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null && "type" in value

/** The parts of types that hold values. */
const valued = /^TS(?:As|NonNull|Satisfies|Instantiation|TypeAssertion)/

/** Returns the nodes below a node, without types. */
export const children = (node: Node): ReadonlyArray<Node> =>
  Object.values(node).flatMap((value) => (Array.isArray(value) ? value : [value])).filter(isNode)
    .filter(({ type }) => !type.startsWith("TS") || valued.test(type))

/** Parses a source. */
export const parse = (text: string): Node => parseAst(text, { lang: "ts" }) as unknown as Node

const isFunction = ({ body, type }: Node): boolean => /Function/.test(type) && isNode(body)

/** Returns the functions of a source, outer ones first. */
export const functions = (tree: Node): ReadonlyArray<Node> => [
  ...(isFunction(tree) ? [tree] : []),
  ...children(tree).flatMap(functions)
]

/** Writes into each function of a source that it was reached. `name` and the number of the function are what it tells. */
export const instrument = (text: string, name: string): string => {
  const call = (number: number) => `globalThis.${REACHED}?.add(${JSON.stringify(`${name}#${number}`)})`
  const inserts = functions(parse(text)).flatMap(({ body }, number): ReadonlyArray<readonly [number, string]> =>
    body.type === "BlockStatement"
      ? [[body.start + 1, `${call(number)};`]]
      : [[body.start, `(${call(number)},`], [body.end, ")"]]
  )
  // An arrow function's own parentheses are around its body. Those are kept, as the comma is within them.
  return inserts.toSorted(([a], [b]) => b - a).reduce(
    (changed, [at, insert]) => changed.slice(0, at) + insert + changed.slice(at),
    `${text}\n;${call(-1)}`
  )
}
