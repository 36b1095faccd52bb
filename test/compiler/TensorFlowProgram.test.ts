import { assert, describe, it } from "@effect/vitest"
import * as TensorFlowProgram from "../../src/compiler/programs/TensorFlowProgram.ts"
import { Model } from "../../src/compiler/tensorflow/SavedModelSchema.ts"
import * as Steps from "../../src/laws/EngineSteps.ts"
import * as Tree from "../../src/shapes/Tree.ts"

interface Decoded {
  readonly metaGraphs: ReadonlyArray<{ readonly graphDef: { readonly node: ReadonlyArray<{ readonly op: string }> } }>
}

describe("a training step as a TensorFlow graph", () => {
  it("updates each parameter by one operator, in place", () => {
    const { graph: { bytes } } = TensorFlowProgram.trainStep(Steps.regression)
    const { metaGraphs: [whole] } = Model.toObject(Model.decode(bytes), { arrays: true, objects: true }) as Decoded
    const updates = whole!.graphDef.node.filter(({ op }) => op === "ResourceApplyAdam")
    assert.lengthOf(updates, Tree.leaves(Steps.regression.state.parameters).length)
  })
})
