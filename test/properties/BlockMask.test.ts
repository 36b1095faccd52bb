import * as BlockMask from "../../src/domain/method/BlockMask.ts"
import * as Laws from "../../src/laws/index.ts"
import { holds } from "../laws/kit.ts"

holds("BlockMask", Laws.mask(BlockMask.fromKey))
