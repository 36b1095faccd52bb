/** All readers of bytes from outside. */
import type { Reader } from "./Case.ts"
import * as images from "./readers/images.ts"
import * as models from "./readers/models.ts"
import * as runs from "./readers/runs.ts"
import * as settings from "./readers/settings.ts"
import * as web from "./readers/web.ts"
import * as weights from "./readers/weights.ts"

export const readers: ReadonlyArray<Reader> = [
  weights.safetensors,
  weights.pickle,
  weights.pth,
  weights.torchscript,
  images.tar,
  images.parquet,
  images.cifar,
  images.images,
  images.folder,
  images.manifest,
  settings.config,
  settings.programs,
  runs.run,
  runs.checkpoint,
  runs.cache,
  models.model,
  models.onnx,
  models.teacher,
  web.hub,
  web.studioRequests
]
