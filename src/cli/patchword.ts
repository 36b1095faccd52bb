/** The command line as a value: all commands under one name. */
import { Command } from "effect/cli"
import { atlas } from "./commands/codes/atlas.ts"
import { config } from "./commands/config.ts"
import { demo } from "./commands/demo.ts"
import { encode } from "./commands/encode.ts"
import { engines } from "./commands/engines.ts"
import { evaluate } from "./commands/evaluate.ts"
import { exported } from "./commands/export.ts"
import { features } from "./commands/features.ts"
import { finetune } from "./commands/finetune.ts"
import { help, type Root } from "./commands/help.ts"
import { inspect } from "./commands/inspect.ts"
import { jobs } from "./commands/jobs/jobs.ts"
import { knn } from "./commands/knn.ts"
import { doctor } from "./commands/look/doctor.ts"
import { replay } from "./commands/look/replay.ts"
import { attention } from "./commands/pictures/attention.ts"
import { complete } from "./commands/pictures/complete.ts"
import { decoder } from "./commands/pictures/decoder.ts"
import { pca } from "./commands/pictures/pca.ts"
import { plan } from "./commands/plan.ts"
import { predict } from "./commands/predict.ts"
import { presets } from "./commands/presets.ts"
import { pretrain } from "./commands/pretrain.ts"
import { probe } from "./commands/probe.ts"
import { pull } from "./commands/pull.ts"
import { push } from "./commands/push.ts"
import { robustness } from "./commands/robustness.ts"
import { runs } from "./commands/runs.ts"
import { segment } from "./commands/segment.ts"
import { setup } from "./commands/setup.ts"
import { studio } from "./commands/studio.ts"
import { study } from "./commands/study.ts"
import { tokenizer } from "./commands/tokenizer.ts"

/** The command. */
export const patchword: Root = Command.make("patchword").pipe(
  Command.withDescription(
    "patchword learns a visual vocabulary from images, pretrains vision transformers on it (BEiT v2), and measures what they " +
      "learned."
  ),
  Command.withSubcommands([
    { group: "Start here", commands: [demo, help(() => patchword)] },
    { group: "Train", commands: [tokenizer, pretrain, finetune, segment, decoder] },
    { group: "Evaluate", commands: [evaluate, probe, knn, robustness, study] },
    {
      group: "Use what was learned",
      commands: [predict, encode, features, complete, attention, pca, exported, pull, push]
    },
    {
      group: "Look and plan",
      commands: [
        atlas,
        presets,
        config,
        plan,
        inspect,
        doctor,
        replay,
        runs,
        jobs(() => patchword),
        studio,
        engines,
        setup
      ]
    }
  ]),
  Command.withExamples([
    { command: "patchword demo" },
    { command: "patchword tokenizer train --images photos --out runs/one" },
    { command: "patchword pretrain --tokenizer runs/one --images photos --out runs/one" },
    { command: "patchword help images" }
  ])
)
