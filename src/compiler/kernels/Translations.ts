/** The translations of TensorFlow.js kernels into operations. */
import * as FusedAdamW from "../../shapes/FusedAdamW.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import * as Elementwise from "./Elementwise.ts"
import * as Fused from "./Fused.ts"
import * as Indexing from "./Indexing.ts"
import * as Movement from "./Movement.ts"
import * as Reduction from "./Reduction.ts"
import { NotTraceable } from "./Tracer.ts"
import type { Info, Translations } from "./Translation.ts"

export type { Emitted } from "./Translation.ts"

/** The fused kernels of typed operations that a trace has: all but the optimizer's update, or all. */
export type Fusion = "layers" | "all"

const UPDATES = new Set([FusedAdamW.NAME])

/** Tests whether a trace has the kernel of this name. */
const has = (name: string, fusion: Fusion): boolean => fusion === "all" || !UPDATES.has(name)

/** Returns the translations of the kernels that a trace has. */
export const of = (fusion: Fusion): Translations => {
  const all = {
    ...Elementwise.translations,
    ...Reduction.translations,
    ...Movement.translations,
    ...Indexing.translations,
    ...Fused.translations
  }
  return Object.fromEntries(Object.entries(all).filter(([name]) => has(name, fusion)))
}

/** Returns the error for a kernel without a translation. */
export const untranslated = (name: string, inputs: ReadonlyArray<Info | undefined>): NotTraceable =>
  new NotTraceable(
    `${name} of ${
      inputs.filter((x) => x !== undefined).map((x) => ShapeError.show(x.shape)).join(" and ")
    } has no translation into a program`
  )
