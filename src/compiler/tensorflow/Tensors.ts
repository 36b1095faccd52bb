/** Nodes that several operations need. */
import type { DType } from "../../shapes/HostTensor.ts"
import type { Shape } from "../../shapes/Shape.ts"
import { type Id, type NodeWriter, typed } from "./NodeWriter.ts"
import type { Attribute } from "./SavedModel.ts"

/** The element type of shapes, axes and sizes. */
export const INT32: Attribute = { type: "int32" }

/** Returns the same elements in order under another shape. */
export const reshape = (w: NodeWriter, x: Id, dtype: DType, shape: Shape): Id =>
  w.emit("Reshape", [x, w.integers(shape)], { ...typed(dtype), Tshape: INT32 })
