/**
 * Nested records of leaves. Networks keep their parameters in such records. The dot-joined path of a leaf **is** its official
 * state-dict name (`blocks.0.attn.qkv.weight`). So naming, saving and optimising are walks over a tree.
 *
 * A leaf is anything with a `shape`: a tensor, a host array, a specification. Optional parameters may be absent: `undefined`
 * members are skipped.
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

/** The part of a leaf that marks the end of a path. */
export interface Leaf {
  readonly shape: Shape
  readonly dtype: string
}

const isLeaf = (node: object): node is Leaf => "shape" in node && "dtype" in node

/** Returns every leaf with its dot-joined path, in the order of the record's keys. */
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
 * Returns the record with every leaf replaced. `A` is the record's type after the replacement. The caller states it, because
 * TypeScript cannot map a leaf type through any record.
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
