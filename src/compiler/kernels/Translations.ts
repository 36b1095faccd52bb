/** The translations of TensorFlow.js kernels into ONNX. */
import * as FusedAdamW from "../../shapes/FusedAdamW.ts"
import * as ShapeError from "../../shapes/ShapeError.ts"
import { NotTraceable } from "../graph/Tracer.ts"
import * as Elementwise from "./Elementwise.ts"
import * as Fused from "./Fused.ts"
import * as Indexing from "./Indexing.ts"
import * as Movement from "./Movement.ts"
import * as Reduction from "./Reduction.ts"
import type { Info, Translations } from "./Translation.ts"

export type { Emitted } from "./Translation.ts"

/**
 * The fused kernels of typed operations that a trace has: none, those that are operators of a graph, or also those outside of
 * the graph (`ExternalKernel`).
 */
export type Fusion = "none" | "graph" | "external"

const EXTERNAL = new Set([FusedAdamW.NAME])

/** Tests whether a trace has the kernel of this name. */
export const has = (name: string, fusion: Fusion): boolean =>
  !name.startsWith("Patchword") || fusion === "external" || (fusion === "graph" && !EXTERNAL.has(name))

/** Every kernel that has a translation. */
export const all: Translations = {
  ...Elementwise.translations,
  ...Reduction.translations,
  ...Movement.translations,
  ...Indexing.translations,
  ...Fused.translations
}

/** Returns the error for a kernel without a translation. */
export const untranslated = (name: string, inputs: ReadonlyArray<Info | undefined>): NotTraceable =>
  new NotTraceable(
    `${name} of ${
      inputs.filter((x) => x !== undefined).map((x) => ShapeError.show(x.shape)).join(" and ")
    } has no translation into a program`
  )
