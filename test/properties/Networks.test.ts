import * as RelativePosition from "../../src/domain/method/RelativePosition.ts"
import * as Laws from "../../src/laws/index.ts"
import * as PatchGrid from "../../src/nn/blocks/PatchGrid.ts"
import * as Vit from "../../src/nn/blocks/Vit.ts"
import * as VitInference from "../../src/nn/blocks/VitInference.ts"
import * as FinetuneStep from "../../src/nn/finetune/FinetuneStep.ts"
import * as PretrainStep from "../../src/nn/pretrain/PretrainStep.ts"
import { holds } from "../laws/kit.ts"

const vit = Vit.dims({ image: 16, patch: 8, width: 8, heads: 2 })

const network = {
  ...vit,
  hidden: 12,
  relativeRows: RelativePosition.rows(PatchGrid.grid(vit)),
  depth: 2,
  absolutePositions: true,
  qkvBias: true,
  layerScale: 0.1
} as const

const classifier = { ...network, relativePositions: "perBlock", headScale: 1, classes: 5 } as const

const backbone = {
  ...network,
  initStd: 0.02,
  relativePositions: "shared",
  codes: 5,
  aggregation: { earlyLayer: 1, headDepth: 1, sharedHead: true }
} as const

holds(
  "the classifier of mean patches",
  Laws.network((batch) => FinetuneStep.logits({ ...classifier, pooling: "mean" }, batch))
)
holds(
  "the classifier of the class token",
  Laws.network((batch) => FinetuneStep.logits({ ...classifier, depth: 1, pooling: "cls" }, batch))
)
holds(
  "the pretrained backbone",
  Laws.network((batch) => VitInference.patchFeatures(PretrainStep.model(backbone), batch))
)
