/**
 * Writes a program as one TensorFlow graph. The graph holds the state in variables and has three signatures: `load` sets the
 * state, `step` replaces it and gives results, `read` returns it.
 */
import type { Shape } from "../../shapes/Shape.ts"
import type { Value } from "../graph/Graph.ts"
import { type Id, inside, make, type NodeWriter } from "./NodeWriter.ts"
import * as SavedModel from "./SavedModel.ts"
import type { Attributes, Element, Node } from "./SavedModel.ts"
import type { Port, TensorFlowGraph } from "./TensorFlowGraph.ts"
import * as Variables from "./Variables.ts"
import * as XlaFunction from "./XlaFunction.ts"

/** The AdamW update of one parameter. Parameter and moments are named. */
export interface AdamW {
  readonly parameter: string
  readonly first: string
  readonly second: string
  /** The mean gradient, if several steps make one update. */
  readonly mean?: string | undefined
  /** The moving average of the parameter, if one is kept. */
  readonly ema?: string | undefined
  readonly gradient: Id
  readonly factors: Variables.Factors
}

/** A program under construction. Its nodes are those of a step. */
export interface TensorFlowWriter extends NodeWriter {
  /** Declares a state, and returns its value before the step. */
  readonly held: (value: Value) => Id
  /** Declares a value that every step is fed, and returns it. */
  readonly batch: (value: Value) => Id
  /** Sets the next value of a state. A state without one stays as it is. */
  readonly assign: (state: string, next: Id) => void
  /**
   * Updates a parameter and its moments in place. They keep their values if `finite` is false; only the sign of a zero may
   * change.
   */
  readonly adamW: (update: AdamW) => void
  /** Declares a result of the step. */
  readonly result: (value: Value, id: Id) => void
  /** Returns the program. With `xla`, XLA compiles the step as one function. Nothing can be added afterwards. */
  readonly program: (options?: { readonly xla?: boolean }) => TensorFlowGraph
}

/** A result of a node outside of the step that the step reads, or one of the step that is fetched. */
interface Typed {
  readonly id: Id
  readonly dtype: Element
}

const type = (dtype: Element): Attributes => ({ dtype: { type: dtype } })

const operand = (dtype: Element): Attributes => ({ T: { type: dtype } })

/** Creates an empty program under construction. */
export const writer = (): TensorFlowWriter => {
  const step = make()
  // The nodes outside of the step are apart, so that the step can become a function.
  const outer: Array<Node> = []
  const state = new Map<string, Variables.Held>()
  const batch: Array<Port> = []
  const given: Array<Typed> = []
  const results: Array<Value & Typed> = []
  const assignments: Array<Variables.Assignment> = []
  const updates: Array<Variables.AdamW> = []

  const add = (name: string, operation: string, inputs: ReadonlyArray<Id>, attributes: Attributes): Id => {
    outer.push({ name, operation, inputs, attributes })
    return `${name}:0`
  }
  const variable = (name: string, shape: Shape, dtype: Element): Id => {
    const id = add(name, "VarHandleOp", [], { ...type(dtype), shape: { shape }, shared_name: name })
    given.push({ id, dtype: "resource" })
    return id
  }
  const constant = (name: string, value: SavedModel.Constant): Id =>
    add(name, "Const", [], { ...type(value.dtype), value: { tensor: value } })
  const load = (name: string, variableId: Id, value: Id, dtype: Element): Id => {
    add(name, "AssignVariableOp", [variableId, value], { ...type(dtype), validate_shape: true })
    return `^${name}`
  }
  const found = (name: string): Variables.Held => {
    const held = state.get(name)
    if (held === undefined) throw new Error(`the program holds no ${name}`)
    return held
  }
  const loads: Array<Id> = []

  return {
    ...step,
    held: ({ dtype, name, shape }) => {
      const k = state.size
      const place = variable(`v${k}`, shape, dtype)
      const present = add(`g${k}`, "ReadVariableOp", [place], type(dtype))
      const port = add(`s${k}`, "PlaceholderWithDefault", [present], { ...type(dtype), shape: { shape } })
      loads.push(load(`p${k}`, place, port, dtype))
      const read = step.emit("ReadVariableOp", [place], type(dtype))
      state.set(name, { name, shape, dtype, port, variable: place, read })
      return step.cast(read, dtype, inside(dtype))
    },
    batch: ({ dtype, name, shape }) => {
      const k = batch.length
      const port = add(`b${k}`, "Placeholder", [], { ...type(dtype), shape: { shape } })
      batch.push({ name, port, shape, dtype })
      const to = inside(dtype)
      // Both copy the array, which the step may make a state.
      const id = to === dtype
        ? add(`f${k}`, "DeepCopy", [port], operand(dtype))
        : add(`f${k}`, "Cast", [port], { SrcT: { type: dtype }, DstT: { type: to } })
      given.push({ id, dtype: to })
      return id
    },
    assign: (name, next) => {
      const held = found(name)
      assignments.push({ held, next: step.cast(next, inside(held.dtype), held.dtype) })
    },
    adamW: ({ ema, first, mean, parameter, second, ...values }) => {
      updates.push({
        ...values,
        parameter: found(parameter),
        first: found(first),
        second: found(second),
        mean: mean === undefined ? undefined : found(mean),
        ema: ema === undefined ? undefined : found(ema)
      })
    },
    result: ({ dtype, name, shape }, value) => {
      const id = step.emit("Identity", [step.cast(value, inside(dtype), dtype)], operand(dtype))
      results.push({ name, shape, dtype, id })
    },
    program: ({ xla = false } = {}) => {
      const held = Array.from(state.values())
      const writes = assignments.length + updates.length > 0
      const waits: Array<Id> = []
      if (writes) {
        const writing = variable("w", [], "bool")
        const no = constant("no", { shape: [], dtype: "bool", data: Uint8Array.of(0) })
        loads.push(load("intact", writing, no, "bool"))
        add("writing", "ReadVariableOp", [writing], type("bool"))
        waits.push(Variables.write(step, { assignments, updates }, held, writing))
      }
      // A run has to fetch something, also if it has no results.
      const zero = constant("zero", { shape: [], dtype: "int32", data: Int32Array.of(0) })
      const loaded = add("loaded", "Identity", [zero, ...loads], operand("int32"))
      const done = step.emit("Identity", [step.integer(0), ...waits], operand("int32"))
      const wanted = [...results, { id: done, dtype: "int32" as const }]
      const called = xla ? XlaFunction.make(step.nodes, given, wanted) : undefined
      const fetched = wanted.map(({ id }, k) => (called === undefined ? id : `${called.call.name}:${k}`))

      const ports = {
        state: held.map(({ dtype, name, port, shape }) => ({ name, port, shape, dtype })),
        batch,
        results: results.map(({ dtype, name, shape }, k) => ({ name, port: fetched[k]!, shape, dtype })),
        loaded,
        done: fetched.at(-1)!
      }
      const flag = (name: string, port: string): Port => ({ name, port, shape: [], dtype: "int32" })
      const bytes = SavedModel.encode({
        nodes: [...outer, ...(called === undefined ? step.nodes : [called.call])],
        functions: called === undefined ? [] : [called.function],
        signatures: {
          load: { inputs: ports.state, outputs: [flag("loaded", loaded)] },
          step: { inputs: batch, outputs: [...ports.results, flag("done", ports.done)] },
          read: { inputs: [], outputs: ports.state }
        }
      })
      return { bytes, ...ports, ...(writes ? { writing: "writing:0" } : {}) }
    }
  }
}
