/** Layers, products and updates that typed operations call by these names. */
import * as FusedAdamW from "../../shapes/FusedAdamW.ts"
import * as Collective from "../operations/Collective.ts"
import * as Normalization from "../operations/Normalization.ts"
import * as Product from "../operations/Product.ts"
import * as Update from "../operations/Update.ts"
import type { Info, Translation, Translations } from "./Translation.ts"

const matMul: Translation = (
  t,
  { a, b }: { a: Info; b: Info },
  { alpha = 1, exact = false, transposeA = false, transposeB = false }: {
    alpha?: number
    exact?: boolean
    transposeA?: boolean
    transposeB?: boolean
  }
) => t.emit(Product.matMul, [a, b], { alpha, exact, transposeA, transposeB })

export const translations: Translations = {
  BatchMatMul: matMul,
  PatchwordMatMul: matMul,
  /** Returns the result, and for the gradient the mean and the inverse deviation of each row. */
  PatchwordLayerNorm: (
    t,
    { bias, weight, x }: { bias: Info; weight: Info; x: Info },
    { epsilon }: { epsilon: number }
  ) => t.emitAll(Normalization.layerNorm, [x, weight, bias], { epsilon }),
  PatchwordLogSoftmax: (t, { x }: { x: Info }) => t.emit(Normalization.logSoftmax, [x], {}),
  PatchwordBoundary: (t, { dy, x }: { dy: Info; x: Info }) => {
    t.boundaries.push({ value: t.value(x), gradient: t.value(dy) })
    return t.alias(dy, dy.shape)
  },
  PatchwordPsum: (t, { x }: { x: Info }) => t.emit(Collective.psum, [x], { devices: t.devices }),
  PatchwordPmean: (t, { x }: { x: Info }) => t.emit(Collective.pmean, [x], { devices: t.devices }),
  PatchwordRank: (t) => t.emit(Collective.rank, [], {}),
  [FusedAdamW.NAME]: (t, inputs: Record<string, Info>) =>
    t.emitAll(Update.adamW, Object.values(inputs), {
      operands: Object.keys(inputs),
      replaced: FusedAdamW.REPLACED.filter((key) => inputs[key] !== undefined)
    })
}
