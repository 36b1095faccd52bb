import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import fc from "fast-check"
import { Attention, HostTensor, Tensor, Tokens, Tree } from "../../src/shapes/index.ts"
import { type Sizes, sizes } from "../shapes/operations.ts"

const counted = (shape: ReadonlyArray<number>): Tensor.Any =>
  Tensor.constant(
    HostTensor.make(shape, "float32", Float32Array.from({ length: HostTensor.size(shape) }, (_, index) => index))
  )

const loose = (x: Tensor.Any): Tensor.Any => x

const equal = (actual: Tensor.Any, expected: Tensor.Any): void => {
  assert.deepStrictEqual(actual.shape, expected.shape)
  assert.deepStrictEqual(Tensor.untyped(actual).dataSync(), Tensor.untyped(expected).dataSync())
}

const inverses: ReadonlyArray<{
  readonly name: string
  readonly shape: (size: Sizes) => ReadonlyArray<number>
  readonly back: (x: Tensor.Any, size: Sizes) => Tensor.Any
}> = [
  {
    name: "patchify and unpatchify",
    shape: ({ batch, patch, down, across }) => [batch, 3, down * patch, across * patch],
    back: (x, { patch, down, across }) =>
      Tokens.unpatchify(loose(Tokens.patchify(x, patch)), {
        channels: 3,
        height: down * patch,
        width: across * patch,
        patch
      })
  },
  {
    name: "rows and batched",
    shape: ({ batch, tokens, width }) => [batch, tokens, width],
    back: (x, { batch, tokens }) => Tokens.batched(loose(Tokens.rows(x)), batch, tokens)
  },
  {
    name: "prepend and patchTokens",
    shape: ({ batch, tokens, width }) => [batch, tokens, width],
    back: (x, { batch, tokens, width }) =>
      Tokens.patchTokens(loose(Tokens.prepend(counted([batch, 1, width]), x)), tokens)
  },
  {
    name: "prepend and classToken",
    shape: ({ batch, width }) => [batch, 1, width],
    back: (x, { batch, tokens, width }) => Tokens.classToken(Tokens.prepend(x, counted([batch, tokens, width])))
  }
]

describe("inverses", () => {
  it.each(inverses)("$name", ({ shape, back }) => {
    fc.assert(fc.property(sizes, (size) => {
      tf.tidy(() => {
        const x = counted(shape(size))
        equal(back(x, size), x)
      })
    }))
  })

  it("splitHeads and mergeHeads, for queries, keys and values side by side", () => {
    fc.assert(fc.property(sizes, ({ batch, tokens, width, heads }) => {
      tf.tidy(() => {
        const x = counted([batch, tokens, 3 * width])
        const { q, k, v } = Attention.splitHeads(x, width, heads)
        const merged = [q, k, v].map((part: Tensor.Any) => Tensor.untyped(Attention.mergeHeads(part, width)))
        equal(Tensor.unsafeTyped(tf.concat(merged, 2)), x)
      })
    }))
  })
})

describe("trees", () => {
  interface Node {
    readonly [key: string]: HostTensor.Any | Node | ReadonlyArray<HostTensor.Any> | undefined
  }

  const key = fc.stringMatching(/^[a-z]{1,4}$/).filter((name) => name !== "shape" && name !== "dtype")
  const leaf: fc.Arbitrary<HostTensor.Any> = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 })
    .map((shape) => HostTensor.zeros(shape, "float32"))
  const { tree } = fc.letrec<{ readonly tree: Node; readonly node: Node[string] }>((tie) => ({
    node: fc.oneof({ maxDepth: 3 }, leaf, fc.array(leaf, { maxLength: 3 }), fc.constant(undefined), tie("tree")),
    tree: fc.dictionary(key, tie("node"), { maxKeys: 4 })
  }))

  it("have every leaf once, at a path that leads to it", () => {
    fc.assert(fc.property(tree, (record) => {
      const leaves = Tree.leaves(record)
      assert.strictEqual(new Set(leaves.map(([path]) => path)).size, leaves.length)
      for (const [path, found] of leaves) {
        const reached = path.split(".").reduce<unknown>((node, name) => Object(node)[name], record)
        assert.strictEqual(reached, found)
      }
    }))
  })

  it("are mapped leaf by leaf, in place and in order", () => {
    fc.assert(fc.property(tree, (record) => {
      const before = Tree.leaves(record)
      const visited: Array<string> = []
      const mapped = Tree.map<Node>(record, ({ dtype }, path) => {
        visited.push(path)
        return { dtype, shape: [visited.length] }
      })
      assert.deepStrictEqual(visited, before.map(([path]) => path))
      assert.deepStrictEqual(
        Tree.leaves(mapped).map(([path, { shape }]) => [path, ...shape]),
        before.map(([path], index) => [path, index + 1])
      )
      assert.deepStrictEqual(Tree.leaves(Tree.map<Node>(record, (same) => same)), before)
    }))
  })
})
