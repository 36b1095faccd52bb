/** The flags of every command that trains. */
import * as ConfigFlags from "./ConfigFlags.ts"
import * as ContinueFlags from "./ContinueFlags.ts"
import * as EngineFlags from "./EngineFlags.ts"
import * as Flags from "./Flags.ts"
import * as ImagesFlags from "./ImagesFlags.ts"

/** Configuration, images, engine, what is gone on from, and where the results go. */
export const flags = {
  ...ConfigFlags.flags,
  ...ImagesFlags.flags,
  ...EngineFlags.flags,
  ...ContinueFlags.flags,
  out: Flags.out,
  split: Flags.split,
  json: Flags.json
}
