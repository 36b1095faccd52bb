/** What each TensorFlow.js kernel is in ONNX. */
import * as ShapeError from "../../shapes/ShapeError.ts"
import { NotTraceable } from "../graph/Tracer.ts"
import * as Elementwise from "./Elementwise.ts"
import * as Fused from "./Fused.ts"
import * as Indexing from "./Indexing.ts"
import type { Info, Kernels } from "./Kernel.ts"
import * as Movement from "./Movement.ts"
import * as Reduction from "./Reduction.ts"

export type { Emitted } from "./Kernel.ts"

/**
 * Which fused kernels of typed operations a trace has: none, those that are operators of a graph, or those too that stay
 * outside of it (`Apart`).
 */
export type Fusion = "none" | "graph" | "apart"

const APART = new Set(["PatchwordAdamW"])

/** Whether a trace has the kernel of this name. */
export const has = (name: string, fusion: Fusion): boolean =>
  !name.startsWith("Patchword") || fusion === "apart" || (fusion === "graph" && !APART.has(name))

/** Every kernel that has a translation. */
export const kernels: Kernels = {
  ...Elementwise.kernels,
  ...Reduction.kernels,
  ...Movement.kernels,
  ...Indexing.kernels,
  ...Fused.kernels
}

/** The sentence for a kernel without a translation. */
export const untranslated = (name: string, inputs: ReadonlyArray<Info | undefined>): NotTraceable =>
  new NotTraceable(
    `${name} of ${
      inputs.filter((x) => x !== undefined).map((x) => ShapeError.show(x.shape)).join(" and ")
    } has no translation into a program`
  )
