import { Activation, type Dim, Elementwise, Linear, type Shape, ShapeError, type Tensor } from "patchword/shapes"

/** A gate and a value of `H` channels each, made from `C`, and the way back. */
export interface GatedParams<in out C extends number, in out H extends number> {
  readonly gate: Tensor.Tensor<[H, C]>
  readonly value: Tensor.Tensor<[H, C]>
  readonly out: Tensor.Tensor<[C, H]>
}

/** SwiGLU without biases, `[..., C]` to `[..., C]`. */
export function gated<L extends Shape, C extends number, H extends number>(
  x: Tensor.Tensor<[...L, C]>,
  params: GatedParams<C, H>
): Tensor.Tensor<[...L, C]>
export function gated<L extends Shape, C extends number, H extends number, W extends number>(
  x: Tensor.Tensor<[...L, C]>,
  params:
    & GatedParams<W, H>
    & ShapeError.ShapeError<`gated: input axis -1 is ${Dim.Show<C>} but the layer is for ${Dim.Show<W>} channels`>
): never
export function gated(x: Tensor.Any, { gate, out, value }: GatedParams<number, number>): Tensor.Any {
  const [channels, width] = [x.shape.at(-1), gate.shape[1]]
  if (channels !== width) {
    throw new ShapeError.ShapeError(`gated: input axis -1 is ${channels} but the layer is for ${width} channels`)
  }
  return Linear.project(Elementwise.mul(Activation.silu(Linear.project(x, gate)), Linear.project(x, value)), out)
}
