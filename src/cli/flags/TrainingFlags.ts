/** The flags of every command that trains. */
import { Flag } from "effect/cli"
import * as Presets from "../../domain/config/presets/Presets.ts"
import * as ConfigFlags from "./ConfigFlags.ts"
import * as ContinueFlags from "./ContinueFlags.ts"
import * as Described from "./Described.ts"
import * as EngineFlags from "./EngineFlags.ts"
import * as Flags from "./Flags.ts"
import * as ImagesFlags from "./ImagesFlags.ts"

/** Configuration, images, engine, what is gone on from, and where the results go. */
export const flags = {
  ...ConfigFlags.flags,
  preset: Flag.String("preset").pipe(
    Described.optional(
      `the configuration to begin with, in place of the run's (choices: ${Object.keys(Presets.all).join(", ")})`,
      "the configuration of the run of --out, --continue, or the network that is named; tiny where there is no run"
    )
  ),
  ...ImagesFlags.flags,
  ...EngineFlags.flags,
  ...ContinueFlags.flags,
  out: Flags.out,
  split: Flags.split,
  json: Flags.json
}
