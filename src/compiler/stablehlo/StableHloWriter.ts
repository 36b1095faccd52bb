/**
 * Writes operations as the text of a StableHLO function, the input of XLA. Operands broadcast by the rules of the method; StableHLO
 * itself takes only equal shapes.
 */
import type { DType } from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import type * as Graph from "../graph/Graph.ts"
import { broadcast, reduced, sameShape } from "../graph/Types.ts"

const ELEMENTS = { float32: "f32", bfloat16: "bf16", int32: "i32", bool: "i1" } as const

/** The shape and element type of a value. */
type Type = Graph.Type<Graph.Element>

/** A value of the function. */
type Value = Graph.Value<Graph.Element>

/** Returns the type of a value as StableHLO writes it: `tensor<2x3xf32>`. */
export const typeOf = (type: Type): string => `tensor<${[...type.shape, ELEMENTS[type.dtype]].join("x")}>`

/** Returns types separated by commas. */
export const typesOf = (types: ReadonlyArray<Type>): string => types.map(typeOf).join(", ")

/** Returns names separated by commas. */
export const namesOf = (values: ReadonlyArray<Value>): string => values.map(({ name }) => name).join(", ")

const hexadecimal = (data: Graph.Data): string => {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("").toUpperCase()
}

// Decimals would be rounded, and NaN has none.
const bits = (value: number): string => {
  const [word] = new Uint32Array(Float32Array.of(value).buffer)
  return `0x${word!.toString(16).padStart(8, "0").toUpperCase()}`
}

const element = (value: number, dtype: Graph.Element): string =>
  dtype === "float32" ? bits(value) : dtype === "bool" ? String(value !== 0) : String(value)

/** Writes one function. Values are those of the function, whose names begin with `%`. */
export class StableHloWriter {
  readonly lines: Array<string> = []
  /** The precision of products of float32. */
  readonly precision: Graph.Precision
  private count = 0

  constructor(precision: Graph.Precision) {
    this.precision = precision
  }

  /** Adds an operation with several results, which have the given types. */
  putAll(expression: string, types: ReadonlyArray<Type>): ReadonlyArray<Value> {
    const name = `%v${this.count++}`
    this.lines.push(`${name}:${types.length} = ${expression}`)
    return types.map(({ dtype, shape }, result) => ({ name: `${name}#${result}`, shape, dtype }))
  }

  /** Adds an operation with one result. */
  put(expression: string, shape: Shape, dtype: Graph.Element): Value {
    const name = `%v${this.count++}`
    this.lines.push(`${name} = ${expression}`)
    return { name, shape, dtype }
  }

  constant(data: Graph.Data, shape: Shape, dtype: DType): Value {
    const [first] = data
    if (first !== undefined && data.every((value) => Object.is(value, first))) return this.splat(first, shape, dtype)
    const isBool = dtype === "bool"
    const listed = isBool
      ? `[${Array.from(data, (value) => element(value, dtype)).join(", ")}]`
      : `"0x${hexadecimal(data)}"`
    const own = isBool ? [data.length] : shape
    const type = typeOf({ shape: own, dtype })
    return this.reshape(this.put(`stablehlo.constant dense<${listed}> : ${type}`, own, dtype), shape)
  }

  /** Adds an array that is filled with one number. By default it is a number. */
  splat(value: number, shape: Shape = [], dtype: Graph.Element = "float32"): Value {
    return this.put(`stablehlo.constant dense<${element(value, dtype)}> : ${typeOf({ shape, dtype })}`, shape, dtype)
  }

  reshape(x: Value, shape: Shape): Value {
    const { dtype } = x
    if (sameShape(x.shape, shape)) return x
    return this.put(`stablehlo.reshape ${x.name} : (${typeOf(x)}) -> ${typeOf({ shape, dtype })}`, shape, dtype)
  }

  /** Repeats a value along the axes `dims` of a shape. Its axis `i` is axis `dims[i]` of the result. */
  along(x: Value, dims: ReadonlyArray<number>, shape: Shape): Value {
    const { dtype } = x
    const type = `(${typeOf(x)}) -> ${typeOf({ shape, dtype })}`
    return this.put(`stablehlo.broadcast_in_dim ${x.name}, dims = [${dims.join(", ")}] : ${type}`, shape, dtype)
  }

  /** Repeats elements along axes of size 1 and along new first axes. */
  broadcast(x: Value, shape: Shape): Value {
    if (sameShape(x.shape, shape)) return x
    const first = shape.length - x.shape.length
    const kept = [...x.shape.keys()].filter((axis) => x.shape[axis] === shape[first + axis])
    const plain = this.reshape(x, kept.map((axis) => x.shape[axis]!))
    return this.along(plain, kept.map((axis) => first + axis), shape)
  }

  private all(operands: ReadonlyArray<Value>): ReadonlyArray<Value> {
    const shape = broadcast(...operands.map((operand) => operand.shape))
    return operands.map((operand) => this.broadcast(operand, shape))
  }

  /** Adds an operation on elements: `stablehlo.<operation>`. */
  each(operation: string, ...operands: ReadonlyArray<Value>): Value {
    const equal = this.all(operands)
    const [{ dtype, shape }] = equal as [Value]
    return this.put(`stablehlo.${operation} ${namesOf(equal)} : ${typeOf({ shape, dtype })}`, shape, dtype)
  }

  /** Compares elements: `EQ`, `NE`, `LT`, `LE`, `GT` or `GE`. */
  compare(direction: string, a: Value, b: Value): Value {
    const equal = this.all([a, b])
    const { shape } = equal[0]!
    const type = `(${typesOf(equal)}) -> ${typeOf({ shape, dtype: "bool" })}`
    return this.put(`stablehlo.compare ${direction}, ${namesOf(equal)} : ${type}`, shape, "bool")
  }

  /** Returns elements of `a` where the condition is true, and of `b` elsewhere. */
  select(condition: Value, a: Value, b: Value): Value {
    const equal = this.all([condition, a, b])
    const { dtype, shape } = equal[1]!
    return this.put(`stablehlo.select ${namesOf(equal)} : ${typesOf(equal.slice(0, 2))}`, shape, dtype)
  }

  /** Converts the element type. A bool is true where a number is not 0. */
  convert(x: Value, dtype: Graph.Element): Value {
    if (x.dtype === dtype) return x
    if (dtype === "bool") return this.compare("NE", x, this.splat(0, [], x.dtype))
    const { shape } = x
    return this.put(`stablehlo.convert ${x.name} : (${typeOf(x)}) -> ${typeOf({ shape, dtype })}`, shape, dtype)
  }

  /** Permutes axes. */
  transpose(x: Value, axes: ReadonlyArray<number>): Value {
    const shape = axes.map((axis) => x.shape[axis]!)
    const type = `(${typeOf(x)}) -> ${typeOf({ shape, dtype: x.dtype })}`
    return this.put(`stablehlo.transpose ${x.name}, dims = [${axes.join(", ")}] : ${type}`, shape, x.dtype)
  }

  /** Reduces axes by an operation that starts with `initial`. */
  reduce(x: Value, operation: string, initial: number, axes: ReadonlyArray<number>, keepDims = false): Value {
    const { dtype } = x
    const start = this.splat(initial, [], dtype)
    const shape = reduced(x.shape, axes, false)
    const type = `(${typesOf([x, start])}) -> ${typeOf({ shape, dtype })}`
    const by = `applies stablehlo.${operation} across dimensions = [${axes.join(", ")}]`
    const made = this.put(`stablehlo.reduce(${x.name} init: ${start.name}) ${by} : ${type}`, shape, dtype)
    return this.reshape(made, reduced(x.shape, axes, keepDims))
  }

  /** Returns the place of each element along an axis. */
  iota(shape: Shape, axis: number): Value {
    return this.put(`stablehlo.iota dim = ${axis} : ${typeOf({ shape, dtype: "int32" })}`, shape, "int32")
  }

  concat(parts: ReadonlyArray<Value>, axis: number): Value {
    const [{ dtype, shape: first }] = parts as [Value]
    const shape = first.with(axis, parts.reduce((sum, part) => sum + part.shape[axis]!, 0))
    const type = `(${typesOf(parts)}) -> ${typeOf({ shape, dtype })}`
    return this.put(`stablehlo.concatenate ${namesOf(parts)}, dim = ${axis} : ${type}`, shape, dtype)
  }

  /** Cuts out the elements from `begin` on, `sizes` of them along each axis. */
  slice(x: Value, begin: ReadonlyArray<number>, sizes: ReadonlyArray<number>): Value {
    const ranges = begin.map((from, axis) => `${from}:${from + sizes[axis]!}`).join(", ")
    const type = `(${typeOf(x)}) -> ${typeOf({ shape: sizes, dtype: x.dtype })}`
    return this.put(`stablehlo.slice ${x.name} [${ranges}] : ${type}`, sizes, x.dtype)
  }

  /** Adds `value` around an array. Negative counts take elements away. */
  pad(x: Value, before: ReadonlyArray<number>, after: ReadonlyArray<number>, value: number): Value {
    const { dtype } = x
    const filling = this.splat(value, [], dtype)
    const shape = x.shape.map((dim, axis) => dim + before[axis]! + after[axis]!)
    const inner = before.map(() => 0).join(", ")
    const counts = `low = [${before.join(", ")}], high = [${after.join(", ")}], interior = [${inner}]`
    const type = `(${typesOf([x, filling])}) -> ${typeOf({ shape, dtype })}`
    return this.put(`stablehlo.pad ${x.name}, ${filling.name}, ${counts} : ${type}`, shape, dtype)
  }

  /**
   * Takes slices at the places that the rows of `places` `[..., axes]` give along `axes`. The axes of `places` but the last stand in the
   * result behind the first `leading` axes of a slice.
   */
  gather(x: Value, places: Value, axes: ReadonlyArray<number>, leading = 0): Value {
    const { dtype } = x
    const rest = x.shape.filter((_, axis) => !axes.includes(axis))
    const rows = places.shape.slice(0, -1)
    const shape = rest.toSpliced(leading, 0, ...rows)
    const numbers = [
      `offset_dims = [${rest.map((_, axis) => (axis < leading ? axis : axis + rows.length)).join(", ")}]`,
      `collapsed_slice_dims = [${axes.join(", ")}]`,
      `start_index_map = [${axes.join(", ")}]`,
      `index_vector_dim = ${rows.length}`
    ].join(", ")
    const sizes = x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)).join(", ")
    const options = `<{dimension_numbers = #stablehlo.gather<${numbers}>, slice_sizes = array<i64: ${sizes}>}>`
    const type = `(${typesOf([x, places])}) -> ${typeOf({ shape, dtype })}`
    return this.put(`"stablehlo.gather"(${namesOf([x, places])}) ${options} : ${type}`, shape, dtype)
  }

  /** Adds slices to an array at the places that the rows of `places` `[..., axes]` give along the first axes. */
  scatter(x: Value, places: Value, slices: Value): Value {
    const { dtype, shape } = x
    const depth = places.shape.at(-1)!
    const axes = Array.from({ length: depth }, (_, axis) => axis).join(", ")
    const rows = places.shape.length - 1
    const window = Array.from({ length: shape.length - depth }, (_, i) => rows + i).join(", ")
    const numbers = [
      `update_window_dims = [${window}]`,
      `inserted_window_dims = [${axes}]`,
      `scatter_dims_to_operand_dims = [${axes}]`,
      `index_vector_dim = ${rows}`
    ].join(", ")
    const one = typeOf({ shape: [], dtype })
    return this.put(
      [
        `"stablehlo.scatter"(${
          namesOf([x, places, slices])
        }) <{scatter_dimension_numbers = #stablehlo.scatter<${numbers}>}> ({`,
        `^bb0(%a: ${one}, %b: ${one}):`,
        `  %c = stablehlo.add %a, %b : ${one}`,
        `  stablehlo.return %c : ${one}`,
        `}) : (${typesOf([x, places, slices])}) -> ${typeOf(x)}`
      ].join("\n"),
      shape,
      dtype
    )
  }

  /** Finds the first place of an extreme along an axis. `direction` is `GT` for the largest number and `LT` for the least. */
  place(x: Value, axis: number, direction: "GT" | "LT"): Value {
    const { dtype } = x
    const extreme = direction === "GT" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
    const limit = direction === "GT" ? -(2 ** 31) : 2 ** 31 - 1
    const start = this.splat(dtype === "float32" ? extreme : limit, [], dtype)
    const zero = this.splat(0, [], "int32")
    const places = this.iota(x.shape, axis)
    const shape = reduced(x.shape, [axis], false)
    const types = [{ shape, dtype }, { shape, dtype: "int32" as const }]
    const [one, index] = [typeOf(start), typeOf(zero)]
    const both = `(${x.name} init: ${start.name}), (${places.name} init: ${zero.name})`
    const [, found] = this.putAll(
      [
        `stablehlo.reduce${both} across dimensions = [${axis}] : (${typesOf([x, places, start, zero])}) -> (${
          typesOf(types)
        })`,
        `reducer(%a: ${one}, %b: ${one}) (%c: ${index}, %d: ${index}) {`,
        `  %beyond = stablehlo.compare ${direction}, %a, %b : (${one}, ${one}) -> tensor<i1>`,
        `  %equal = stablehlo.compare EQ, %a, %b : (${one}, ${one}) -> tensor<i1>`,
        `  %first = stablehlo.minimum %c, %d : ${index}`,
        `  %value = stablehlo.select %beyond, %a, %b : tensor<i1>, ${one}`,
        `  %chosen = stablehlo.select %beyond, %c, %d : tensor<i1>, ${index}`,
        `  %place = stablehlo.select %equal, %first, %chosen : tensor<i1>, ${index}`,
        `  stablehlo.return %value, %place : ${one}, ${index}`,
        "}"
      ].join("\n"),
      types
    )
    return found!
  }

  /** Sums a value over all devices. */
  allReduce(x: Value, devices: number): Value {
    const { dtype, shape } = x
    const one = typeOf({ shape: [], dtype })
    const groups = `dense<[[${
      Array.from({ length: devices }, (_, device) => device).join(", ")
    }]]> : tensor<1x${devices}xi64>`
    return this.put(
      [
        `"stablehlo.all_reduce"(${x.name}) <{replica_groups = ${groups}}> ({`,
        `^bb0(%a: ${one}, %b: ${one}):`,
        `  %c = stablehlo.add %a, %b : ${one}`,
        `  stablehlo.return %c : ${one}`,
        `}) : (${typeOf(x)}) -> ${typeOf(x)}`
      ].join("\n"),
      shape,
      dtype
    )
  }

  /** Sums all elements of a window that ends at each element, or that begins there. */
  windowSum(x: Value, axis: number, fromEnd: boolean): Value {
    const { dtype, shape } = x
    const zero = this.splat(0, [], dtype)
    const length = shape[axis]!
    const window = shape.map((_, own) => (own === axis ? length : 1)).join(", ")
    const padding = shape.map((_, own) =>
      own === axis ? (fromEnd ? `[0, ${length - 1}]` : `[${length - 1}, 0]`) : "[0, 0]"
    )
    const one = typeOf(zero)
    const sides = `dense<[${padding.join(", ")}]> : tensor<${shape.length}x2xi64>`
    return this.put(
      [
        `"stablehlo.reduce_window"(${
          namesOf([x, zero])
        }) <{window_dimensions = array<i64: ${window}>, padding = ${sides}}> ({`,
        `^bb0(%a: ${one}, %b: ${one}):`,
        `  %c = stablehlo.add %a, %b : ${one}`,
        `  stablehlo.return %c : ${one}`,
        `}) : (${typesOf([x, zero])}) -> ${typeOf(x)}`
      ].join("\n"),
      shape,
      dtype
    )
  }
}
