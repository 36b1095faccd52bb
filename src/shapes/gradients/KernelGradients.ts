/**
 * Gradients of TensorFlow.js kernels. The gradients of `@tensorflow/tfjs-core` are in files that Node.js cannot import. These
 * call the same operations in the same order, so they give the same numbers.
 */
import * as tf from "@tensorflow/tfjs-core"

type Gradients = Readonly<Record<string, () => tf.Tensor>>

/** Gradients by the names of inputs, from the output's gradient and the values that the kernel saved. */
type Rule = (dy: tf.Tensor, saved: ReadonlyArray<tf.Tensor>, attributes: tf.NamedAttrMap) => Gradients

const NOTHING: ReadonlyArray<string> = []

const config = (kernelName: string, inputs: ReadonlyArray<string>, rule: Rule, output = false): tf.GradConfig => ({
  kernelName,
  inputsToSave: [...inputs],
  outputsToSave: [output],
  gradFunc: (dy, saved, attributes) => ({ ...rule(dy as tf.Tensor, saved, attributes) })
})

/** Computes `dx` from `dy` alone. */
const linear = (kernel: string, of: (dy: tf.Tensor, attributes: tf.NamedAttrMap) => tf.Tensor): tf.GradConfig =>
  config(kernel, NOTHING, (dy, _, attributes) => ({ x: () => of(dy, attributes) }))

type Unary = (dy: tf.Tensor, saved: tf.Tensor, attributes: tf.NamedAttrMap) => tf.Tensor

/** Computes `dx` from `dy` and `x`. */
const byInput = (kernel: string, of: Unary): tf.GradConfig =>
  config(kernel, ["x"], (dy, [x], attributes) => ({ x: () => of(dy, x!, attributes) }))

/** Computes `dx` from `dy` and `y`. */
const byOutput = (kernel: string, of: Unary): tf.GradConfig =>
  config(kernel, NOTHING, (dy, [y], attributes) => ({ x: () => of(dy, y!, attributes) }), true)

type Binary = (dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => tf.Tensor

/** Computes the gradients of `a` and `b` in their own shapes, which may be smaller than that of the output. */
const byPair = (kernel: string, ofA: Binary, ofB: Binary): tf.GradConfig =>
  config(kernel, ["a", "b"], (dy, [a, b]) => ({
    a: () => fitted(ofA(dy, a!, b!), a!, b!),
    b: () => fitted(ofB(dy, a!, b!), b!, a!)
  }))

/** Reduces the gradient of a tensor that was broadcast against another. */
const fitted = (gradient: tf.Tensor, to: tf.Tensor, other: tf.Tensor): tf.Tensor => {
  const { assertAndGetBroadcastShape, getReductionAxes } = tf.broadcast_util
  const axes = getReductionAxes(to.shape, assertAndGetBroadcastShape(to.shape, other.shape))
  return tf.reshape(axes.length > 0 ? tf.sum(gradient, axes) : gradient, to.shape)
}

/** Computes a gradient for each tensor of a kernel that takes a list. */
const listed = (
  kernelName: string,
  of: (dy: tf.Tensor, inputs: ReadonlyArray<tf.Tensor>, attributes: tf.NamedAttrMap) => ReadonlyArray<tf.Tensor>
): tf.GradConfig => ({
  kernelName,
  saveAllInputs: true,
  gradFunc: (dy, saved, attributes) =>
    Object.fromEntries(of(dy as tf.Tensor, saved, attributes).map((gradient, index) => [index, () => gradient]))
})

const flat = (kernel: string): tf.GradConfig => linear(kernel, (dy) => tf.zerosLike(dy))

const real = (x: tf.Tensor): tf.Tensor => tf.cast(x, "float32")

const when = (dy: tf.Tensor, condition: tf.Tensor): tf.Tensor => tf.mul(dy, real(condition))

const axesOf = (axis: tf.NamedAttrMap[string] | undefined, { shape }: tf.Tensor): ReadonlyArray<number> =>
  tf.util.parseAxisParam(axis as number | Array<number>, shape)

/** Reshapes the result of a reduction so that reduced axes have size 1. */
const kept = (reduced: tf.Tensor, { shape }: tf.Tensor, axes: ReadonlyArray<number>): tf.Tensor =>
  tf.reshape(reduced, shape.map((size, axis) => axes.includes(axis) ? 1 : size))

// `tf.ones` would make the array at once, also where a step is traced.
const summed = (dy: tf.Tensor, x: tf.Tensor, axes: ReadonlyArray<number>): tf.Tensor =>
  tf.mul(kept(dy, x, axes), tf.fill(x.shape, 1))

const extreme = (kernel: string, attribute: string): tf.GradConfig =>
  config(kernel, ["x"], (dy, [x, y], attributes) => {
    const axes = axesOf(attributes[attribute], x!)
    return { x: () => tf.mul(kept(dy, x!, axes), tf.cast(tf.equal(x!, kept(y!, x!, axes)), dy.dtype)) }
  }, true)

const product: Rule = (dy, [a, b], { transposeA, transposeB }) => ({
  a: () => transposeA ? tf.matMul(b!, dy, !!transposeB, true) : tf.matMul(dy, b!, false, !transposeB),
  b: () => transposeB ? tf.matMul(dy, a!, true, !!transposeA) : tf.matMul(a!, dy, !transposeA, false)
})

const tiled: Unary = (dy, x, attributes) =>
  (attributes["reps"] as ReadonlyArray<number>)
    .reduce<ReadonlyArray<ReadonlyArray<number>>>(
      (starts, times, axis) =>
        starts.flatMap((start) => Array.from({ length: times }, (_, i) => [...start, i * x.shape[axis]!])),
      [[]]
    )
    .reduce((sum, start) => tf.add(sum, tf.slice(dy, [...start], x.shape)), tf.zerosLike(x))

const gathered: Rule = (dy, [x, indices], attributes) => {
  if (attributes["batchDims"] !== 0) throw new Error("GatherV2 has no gradient where it gathers within batches")
  const [axis] = axesOf(attributes["axis"], x!) as [number]
  const { shape } = x!
  const values = tf.reshape(dy, [...shape.slice(0, axis), indices!.size, ...shape.slice(axis + 1)])
  const order = [axis, ...shape.flatMap((_, other) => other === axis ? [] : [other])]
  return {
    x: () => {
      const rows = tf.reshape(indices!, [indices!.size]) as tf.Tensor1D
      const sums = tf.unsortedSegmentSum(tf.transpose(values, order), rows, shape[axis]!)
      return tf.transpose(sums, tf.backend_util.getUndoAxesPermutation(order))
    },
    indices: () => indices!
  }
}

/** Gathers rows of `dy`, and zeros for negative indices. */
const dropped = (dy: tf.Tensor, indices: tf.Tensor): tf.Tensor => {
  const rows = tf.gather(dy, tf.maximum(indices, tf.zerosLike(indices)))
  const shape = rows.shape.map((size, axis) => axis < indices.rank ? size : 1)
  const used = tf.reshape(tf.greaterEqual(indices, tf.scalar(0, "int32")), shape)
  return tf.where(tf.logicalAnd(used, tf.fill(rows.shape, 1, "bool")), rows, tf.zerosLike(rows))
}

const all: ReadonlyArray<tf.GradConfig> = [
  ...["Ceil", "Floor", "IsFinite", "IsNan", "OnesLike", "Round", "Sign", "Step", "ZerosLike"].map(flat),

  byInput("Abs", (dy, x) => tf.mul(dy, tf.step(real(x), -1))),
  linear("Cast", (dy) => dy.clone()),
  byInput("ClipByValue", (dy, x, { clipValueMax, clipValueMin }) => {
    const inside = tf.logicalAnd(tf.greaterEqual(x, clipValueMin as number), tf.lessEqual(x, clipValueMax as number))
    return tf.where(inside, dy, tf.zerosLike(dy))
  }),
  byInput("Cos", (dy, x) => tf.mul(tf.neg(tf.sin(real(x))), dy)),
  byOutput("Elu", (dy, y) => tf.engine().runKernel("EluGrad", { dy, y })),
  byInput("Erf", (dy, x) => tf.mul(dy, tf.mul(tf.exp(tf.neg(tf.square(x))), 2 / Math.sqrt(Math.PI)))),
  byOutput("Exp", (dy, y) => tf.mul(dy, y)),
  byInput("Log", (dy, x) => tf.div(dy, real(x))),
  linear("Neg", (dy) => tf.neg(dy)),
  byInput("Reciprocal", (dy, x) => tf.div(dy, tf.neg(tf.square(x)))),
  byInput("Relu", (dy, x) => when(dy, tf.step(x))),
  byInput("Rsqrt", (dy, x) => tf.neg(tf.div(dy, tf.mul(tf.pow(x, 1.5), 2)))),
  byOutput("Sigmoid", (dy, y) => tf.mul(dy, tf.mul(y, tf.sub(tf.scalar(1), y)))),
  byInput("Sin", (dy, x) => tf.mul(tf.cos(real(x)), dy)),
  byInput("Softplus", (dy, x) => tf.mul(dy, tf.sigmoid(x))),
  byInput("Sqrt", (dy, x) => tf.div(dy, tf.mul(tf.sqrt(real(x)), 2))),
  byInput("Square", (dy, x) => tf.mul(dy, tf.mul(real(x), 2))),
  byOutput("Tanh", (dy, y) => tf.mul(tf.sub(tf.scalar(1), tf.square(y)), dy)),

  byPair("Add", (dy) => dy, (dy) => dy),
  byPair("Maximum", (dy, a, b) => when(dy, tf.greaterEqual(a, b)), (dy, a, b) => when(dy, tf.less(a, b))),
  byPair("Minimum", (dy, a, b) => when(dy, tf.lessEqual(a, b)), (dy, a, b) => when(dy, tf.greater(a, b))),
  byPair("Multiply", (dy, _, b) => tf.mul(dy, real(b)), (dy, a) => tf.mul(dy, real(a))),
  byPair(
    "SquaredDifference",
    (dy, a, b) => tf.mul(dy, tf.mul(tf.scalar(2), tf.sub(a, b))),
    (dy, a, b) => tf.mul(dy, tf.mul(tf.scalar(2), tf.sub(b, a)))
  ),
  config("GreaterEqual", ["a", "b"], (_, [a, b]) => ({ a: () => tf.zerosLike(a!), b: () => tf.zerosLike(b!) })),
  config("RealDiv", ["a", "b"], (dy, [a, b]) => ({
    a: () => fitted(tf.div(dy, real(b!)), a!, b!),
    b: () => tf.neg(tf.div(fitted(tf.mul(dy, real(a!)), b!, a!), real(tf.square(b!))))
  })),
  config("Sub", ["a", "b"], (dy, [a, b]) => ({
    a: () => fitted(dy, a!, b!),
    b: () => tf.neg(fitted(dy, b!, a!))
  })),
  config("Pow", ["a", "b"], (dy, [a, b, y]) => ({
    a: () => fitted(tf.mul(dy, tf.mul(real(b!), tf.pow(a!, tf.sub(real(b!), tf.scalar(1))))), a!, b!),
    b: () => {
      const logarithm = tf.where(tf.greater(a!, 0), tf.log(a!), tf.zerosLike(a!))
      return fitted(tf.mul(dy, tf.mul(y!, logarithm)), b!, a!)
    }
  }), true),
  config("Select", ["condition"], (dy, [condition]) => ({
    condition: () => real(tf.zerosLike(condition!)),
    t: () => tf.mul(dy, tf.cast(condition!, dy.dtype)),
    e: () => tf.mul(dy, tf.cast(tf.logicalNot(condition!), dy.dtype))
  })),

  config("Softmax", NOTHING, (dy, [y], { dim }) => {
    const weighted = tf.mul(dy, y!)
    return { logits: () => tf.sub(weighted, tf.mul(tf.sum(weighted, [dim as number], true), y!)) }
  }, true),

  listed("AddN", (dy, inputs) => inputs.map(() => dy.clone())),
  config("BatchMatMul", ["a", "b"], product),
  byInput("Cumsum", (dy, x, { axis, exclusive, reverse }) => {
    const order = tf.backend_util.getAxesPermutation([axis as number], x.rank)
    const sums = tf.cumsum(dy, axis as number, !!exclusive, !reverse)
    return order === null ? sums : tf.transpose(sums, order)
  }),
  extreme("Max", "reductionIndices"),
  extreme("Min", "axis"),
  byInput("Mean", (dy, x, { axis }) => {
    const axes = axesOf(axis, x)
    return tf.div(summed(dy, x, axes), axes.reduce((size, reduced) => size * x.shape[reduced]!, 1))
  }),
  byInput("Sum", (dy, x, { axis }) => summed(dy, x, axesOf(axis, x))),
  ...["ArgMax", "ArgMin"].map((kernel) => byInput(kernel, (_, x) => tf.zerosLike(x))),

  listed("Concat", (dy, inputs, attributes) => {
    const [axis] = axesOf(attributes["axis"], inputs[0]!) as [number]
    return tf.split(dy, inputs.map(({ shape }) => shape[axis]!), axis)
  }),
  config("ExpandDims", ["input"], (dy, [input]) => ({ input: () => tf.reshape(dy, input!.shape) })),
  linear("Identity", real),
  listed("Pack", (dy, _, { axis }) => tf.unstack(dy, axis as number)),
  byInput(
    "PadV2",
    (dy, x, { paddings }) =>
      tf.slice(dy, (paddings as ReadonlyArray<readonly [number, number]>).map(([before]) => before), x.shape)
  ),
  byInput("Reshape", (dy, x) => tf.reshape(dy, x.shape)),
  linear("Reverse", (dy, { dims }) => tf.reverse(dy, [...axesOf(dims, dy)])),
  byInput("Slice", (dy, x, { begin, size }) => {
    const [starts, sizes] = tf.slice_util.parseSliceParams(x, begin as Array<number>, size as Array<number>)
    return tf.pad(
      dy,
      x.shape.map((whole, axis) => {
        const [start, part] = [starts![axis]!, sizes![axis]!]
        return [start, whole - start - part]
      })
    )
  }),
  {
    kernelName: "SplitV",
    gradFunc: (dy, _, { axis }) => ({ x: () => tf.concat(dy as Array<tf.Tensor>, axis as number) })
  },
  byInput("Tile", tiled),
  linear(
    "Transpose",
    (dy, { perm }) => tf.transpose(dy, tf.backend_util.getUndoAxesPermutation(perm as Array<number>))
  ),
  {
    kernelName: "Unpack",
    gradFunc: (dy, _, { axis }) => ({ value: () => tf.stack(dy as Array<tf.Tensor>, axis as number) })
  },

  config("GatherV2", ["x", "indices"], gathered),
  config("OneHot", ["indices"], (_, [indices]) => ({ indices: () => tf.fill(indices!.shape, 0) })),
  config("UnsortedSegmentSum", ["segmentIds"], (dy, [segments]) => ({ x: () => dropped(dy, segments!) }))
]

/** Registers the gradients that TensorFlow.js lacks. Calling it again does nothing. */
export const register = (): void => {
  for (const gradient of all) if (tf.getGradient(gradient.kernelName) === undefined) tf.registerGradient(gradient)
}
