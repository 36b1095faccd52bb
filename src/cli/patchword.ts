/** The command line as a value: all commands under one name. */
import { Command } from "effect/cli"
import { demo } from "./commands/demo.ts"
import { encode } from "./commands/encode.ts"
import { engines } from "./commands/engines.ts"
import { exported } from "./commands/export.ts"
import { features } from "./commands/features.ts"
import { finetune } from "./commands/finetune.ts"
import { knn, probe } from "./commands/frozen.ts"
import { inspect } from "./commands/inspect.ts"
import { plan } from "./commands/plan.ts"
import { pretrain } from "./commands/pretrain.ts"
import { tokenizer } from "./commands/tokenizer.ts"

/** The command. */
export const patchword = Command.make("patchword").pipe(
  Command.withDescription("BEiT v2: learn a visual vocabulary, pretrain by predicting it, and see what was learned"),
  Command.withSubcommands([
    demo,
    tokenizer,
    pretrain,
    finetune,
    probe,
    knn,
    encode,
    features,
    exported,
    inspect,
    plan,
    engines
  ])
)
