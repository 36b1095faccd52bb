/**
 * Nested records of leaves. Networks keep parameters in such records, and the dot-joined path of a leaf **is** its
 * official state-dict name (`blocks.0.attn.qkv.weight`), so naming, saving and optimising are walks over a tree.
 *
 * A leaf is anything with a `shape`: a tensor, a host array, a specification. Absent optional parameters are simply not
 * there: `undefined` members are skipped.
 *
 * ```ts
 * import assert from "node:assert"
 * import { HostTensor, Tree } from "patchword/shapes"
 *
 * const params = { blocks: [{ weight: HostTensor.zeros([2, 3], "float32") }], norm: HostTensor.zeros([3], "float32") }
 * assert.deepStrictEqual(Tree.leaves(params).map(([path]) => path), ["blocks.0.weight", "norm"])
 * ```
 */
import type { Shape } from "./Shape.ts"

/** What marks the end of a path. */
export interface Leaf {
  readonly shape: Shape
  readonly dtype: string
}

const isLeaf = (node: object): node is Leaf => "shape" in node && "dtype" in node

/** Every leaf with its dot-joined path, in the order of the record's keys. */
export const leaves = <L extends Leaf = Leaf>(tree: object): Array<readonly [path: string, leaf: L]> => {
  const found: Array<readonly [string, L]> = []
  const walk = (node: unknown, path: string): void => {
    if (typeof node !== "object" || node === null) return
    if (isLeaf(node)) {
      found.push([path, node as L])
      return
    }
    for (const [key, child] of Object.entries(node)) walk(child, path === "" ? key : `${path}.${key}`)
  }
  walk(tree, "")
  return found
}

/**
 * The same record with every leaf replaced. `A` is the record's type after the replacement: the caller states it,
 * because TypeScript cannot map a leaf type through an arbitrary record.
 */
export const map = <A>(tree: object, replace: (leaf: Leaf, path: string) => unknown): A => {
  const walk = (node: unknown, path: string): unknown => {
    if (typeof node !== "object" || node === null) return node
    if (isLeaf(node)) return replace(node, path)
    if (Array.isArray(node)) {
      return node.map((child, index) => walk(child, path === "" ? `${index}` : `${path}.${index}`))
    }
    return Object.fromEntries(
      Object.entries(node)
        .filter(([, child]) => child !== undefined)
        .map(([key, child]) => [key, walk(child, path === "" ? key : `${path}.${key}`)])
    )
  }
  return walk(tree, "") as A
}
