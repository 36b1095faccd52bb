/** The variables in which a TensorFlow graph holds the state, and the nodes that set, read and replace them. */
import type * as FusedAdamW from "../../shapes/FusedAdamW.ts"
import type { Value } from "../graph/Graph.ts"
import { after, type Id, type NodeWriter, typed } from "./NodeWriter.ts"
import type { Element } from "./SavedModel.ts"

/** A state in its variable. */
export interface Held extends Value {
  /** The result that is fed to load the state, and fetched to read it. */
  readonly port: Id
  readonly variable: Id
  /** The state before the step, of the type that the variable has. */
  readonly read: Id
}

/** The factors of an AdamW update. */
export type Factors = { readonly [K in keyof FusedAdamW.Factors]: Id }

/** The AdamW update of one parameter. */
export interface AdamW {
  readonly parameter: Held
  readonly first: Held
  readonly second: Held
  readonly mean?: Held | undefined
  readonly ema?: Held | undefined
  readonly gradient: Id
  readonly factors: Factors
}

/** The next value of a state, of the type that the variable has. */
export interface Assignment {
  readonly held: Held
  readonly next: Id
}

/** All writes of a step. */
export interface Writes {
  readonly assignments: ReadonlyArray<Assignment>
  readonly updates: ReadonlyArray<AdamW>
}

const FLOAT = typed("float32")

/** Writes a variable, and returns the input by which others wait for it. */
const assign = (nodes: NodeWriter, variable: Id, next: Id, dtype: Element, wait: ReadonlyArray<Id>): Id =>
  nodes.act("AssignVariableOp", [variable, next, ...wait], { dtype: { type: dtype }, validate_shape: true })

// Factors are rounded to 32 bits.
const TOLERANCE = 1e-2

const ONE_FACTOR =
  "AdamW on TensorFlow needs takeSecond = (1 - keepSecond) (takeFirst / (1 - keepFirst))²; give such factors, " +
  "or choose another engine"

/**
 * Emits the factor of each update's gradient: that of clipping, or 0 if the gradient is not used. Equal factors are shared.
 *
 * TensorFlow's operator takes one gradient for both moments. The step fails if the factors of the moments need two.
 */
const shares = (nodes: NodeWriter, updates: ReadonlyArray<AdamW>): ReadonlyMap<AdamW, Id> => {
  const known = new Map<string, Id>()
  const emit = (operation: string, ...inputs: ReadonlyArray<Id>): Id => nodes.emit(operation, inputs, FLOAT)
  const make = ({ finite, keepFirst, keepSecond, takeFirst, takeSecond }: Factors): Id => {
    const key = [finite, keepFirst, takeFirst, keepSecond, takeSecond].join()
    const found = known.get(key)
    if (found !== undefined) return found
    // In a step that updates nothing, both are 0.
    const taken = emit("DivNoNan", takeFirst, emit("Sub", nodes.scalar(1), keepFirst))
    const share = emit("MulNoNan", taken, nodes.cast(finite, "bool", "float32"))
    const second = emit("Mul", emit("Sub", nodes.scalar(1), keepSecond), emit("Square", share))
    const used = emit("MulNoNan", takeSecond, nodes.cast(finite, "bool", "float32"))
    const isEqual = emit(
      "LessEqual",
      emit("Abs", emit("Sub", used, second)),
      emit("Mul", used, nodes.scalar(TOLERANCE))
    )
    const checked = nodes.emit("SelectV2", [isEqual, share, nodes.scalar(Number.NaN)], FLOAT)
    const held = nodes.emit("CheckNumerics", [checked], { ...FLOAT, message: ONE_FACTOR })
    known.set(key, held)
    return held
  }
  return new Map(updates.map((update) => [update, make(update.factors)]))
}

/** Emits an update whose writes wait for `begun`. Returns the inputs by which others wait for them. */
const update = (
  nodes: NodeWriter,
  { ema, factors, first, gradient, mean, parameter, second }: AdamW,
  share: Id,
  begun: Id
): ReadonlyArray<Id> => {
  const { epsilon, finite, keep, keepEma, keepFirst, keepMean, keepSecond, step, takeEma, takeMean } = factors
  const product = (...inputs: ReadonlyArray<Id>): Id => nodes.emit("Mul", inputs, FLOAT)
  const writes: Array<Id> = []
  let taken = gradient
  if (mean !== undefined && keepMean !== undefined && takeMean !== undefined) {
    const next = nodes.emit("AddV2", [product(mean.read, keepMean), product(gradient, takeMean)], FLOAT)
    taken = nodes.emit("SelectV2", [finite, next, mean.read], FLOAT)
    writes.push(assign(nodes, mean.variable, taken, mean.dtype, [begun]))
  }
  const decayed = keep === undefined
    ? begun
    : assign(nodes, parameter.variable, product(parameter.read, keep, begun), parameter.dtype, [begun])
  // One operator for both moments and the parameter, in place. It takes one gradient for both moments, so that this is clipped
  // before, and made 0 if it is not used. Its own correction of the moments is switched off: `step` has it.
  const clipped = nodes.emit("MulNoNan", [taken, share], FLOAT)
  const places = [parameter.variable, first.variable, second.variable]
  const numbers = [nodes.scalar(0), nodes.scalar(0), step, keepFirst, keepSecond, epsilon]
  const updated = nodes.act("ResourceApplyAdam", [...places, ...numbers, clipped, decayed], FLOAT)
  if (ema !== undefined && keepEma !== undefined && takeEma !== undefined) {
    const moved = nodes.emit("ReadVariableOp", [parameter.variable, updated], { dtype: { type: "float32" } })
    const next = nodes.emit("AddV2", [product(ema.read, keepEma), product(moved, takeEma)], FLOAT)
    writes.push(assign(nodes, ema.variable, next, ema.dtype, [updated]))
  }
  return [...writes, updated]
}

/**
 * Emits all writes of a step and returns the input by which others wait for them. They wait until every state has been read and
 * every value is known, so that a step whose computation fails leaves the state as it was. The variable `writing` is true
 * from before the first write until after the last.
 */
export const write = (
  nodes: NodeWriter,
  { assignments, updates }: Writes,
  state: ReadonlyArray<Held>,
  writing: Id
): Id => {
  const factors = shares(nodes, updates)
  const awaited = [
    ...state.map(({ read }) => read),
    ...assignments.map(({ next }) => next),
    ...updates.flatMap((one) => [one.gradient, factors.get(one)!, ...Object.values<Id | undefined>({ ...one.factors })])
  ].filter((id) => id !== undefined)
  const ready = nodes.act("NoOp", Array.from(new Set(awaited.map(after))))
  const begun = assign(nodes, writing, nodes.bool(true), "bool", [ready])
  const writes = [
    ...assignments.map(({ held: { dtype, variable }, next }) => assign(nodes, variable, next, dtype, [begun])),
    ...updates.flatMap((one) => update(nodes, one, factors.get(one)!, begun))
  ]
  return assign(nodes, writing, nodes.bool(false), "bool", writes)
}
