/** What each TensorFlow.js kernel is in ONNX. */
import * as ShapeError from "../shapes/ShapeError.ts"
import * as Elementwise from "./kernels/Elementwise.ts"
import * as Fused from "./kernels/Fused.ts"
import * as Indexing from "./kernels/Indexing.ts"
import type { Info, Kernels } from "./kernels/Kernel.ts"
import * as Movement from "./kernels/Movement.ts"
import * as Reduction from "./kernels/Reduction.ts"
import { NotTraceable } from "./Tracer.ts"

export type { Emitted } from "./kernels/Kernel.ts"

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
