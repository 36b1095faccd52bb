/** `patchword jobs submit`: hands in work for workers. */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import * as Config from "../../../domain/config/Config.ts"
import * as Suggest from "../../../domain/values/Suggest.ts"
import { checkStages } from "../../../pipelines/CheckStages.ts"
import * as ConfigFlags from "../../flags/ConfigFlags.ts"
import * as Described from "../../flags/Described.ts"
import * as EngineFlags from "../../flags/EngineFlags.ts"
import * as Flags from "../../flags/Flags.ts"
import * as ImagesFlags from "../../flags/ImagesFlags.ts"
import * as RunPlace from "../../flags/RunPlace.ts"
import * as TeacherFlags from "../../flags/TeacherFlags.ts"
import * as Words from "../../flags/Words.ts"
import * as Failure from "../../terminal/Failure.ts"
import type { Root } from "../help.ts"
import { cache } from "./cache.ts"
import type * as CommandRun from "./CommandRun.ts"
import { encode } from "./encode.ts"
import * as HandIn from "./HandIn.ts"
import { study } from "./study.ts"

const teacher = TeacherFlags.flags
const { config, ...settings } = ConfigFlags.flags
const shared = { ...ImagesFlags.flags, ...EngineFlags.flags }

const flags = {
  ...HandIn.flags,
  out: Flag.String("out").pipe(Described.required("run folder, as the worker sees it, or s3://BUCKET/PREFIX")),
  stages: Flag.String("stages").pipe(
    Described.withDefault(
      "the stages in their order: tokenizer, pretrain, finetune, segment, decoder, probe, knn, evaluate",
      "tokenizer,pretrain"
    )
  ),
  ...settings,
  config,
  ...shared,
  ...teacher,
  split: Flags.split,
  tests: Flags.tests
}

type Given = Command.Command.Config.Infer<typeof flags>

/** A stage: its command line, and the stage whose network it takes. */
interface Stage {
  readonly after?: string
  readonly line: (given: Given) => Omit<CommandRun.Line, "name">
}

const STAGES: Readonly<Record<string, Stage>> = {
  tokenizer: { line: (given) => trained(given, ["tokenizer", "train", ...Words.ofFlags(given, teacher)]) },
  pretrain: { after: "tokenizer", line: (given) => trained(given, ["pretrain", "--tokenizer", given.out]) },
  finetune: {
    after: "pretrain",
    line: (given) => trained(given, ["finetune", "--from", given.out, "--tests", given.tests.join(",")])
  },
  segment: {
    after: "pretrain",
    line: (given) => trained(partOf(given, "segmentation"), ["segment", "--from", given.out])
  },
  decoder: {
    after: "tokenizer",
    line: (given) => trained(partOf(given, "decoder"), ["decoder", "train", "--tokenizer", given.out])
  },
  probe: { after: "pretrain", line: (given) => evaluated(given, ["probe", `${given.out}/pretrain`]) },
  knn: { after: "pretrain", line: (given) => evaluated(given, ["knn", `${given.out}/pretrain`]) },
  evaluate: { after: "finetune", line: (given) => evaluated(given, ["evaluate", `${given.out}/finetune`]) }
}

const trained = (given: Given, words: ReadonlyArray<string>): Omit<CommandRun.Line, "name"> => ({
  words: [...words, ...Words.ofFlags(given, { ...shared, ...settings, out: flags.out, split: flags.split })],
  configured: true
})

// The run keeps its settings of evaluations.
const evaluated = (given: Given, words: ReadonlyArray<string>): Omit<CommandRun.Line, "name"> => ({
  words: [...words, ...Words.ofFlags(given, shared), "--tests", given.tests.join(",")],
  configured: false
})

const partOf = (given: Given, part: string): Given => ({
  ...given,
  set: Object.fromEntries(Object.entries(given.set).filter(([key]) => key.startsWith(`${part}.`)))
})

/** The command, for the verbs of the program. */
export const submit = (root: () => Root) =>
  Command.make("submit", flags, (given) =>
    Effect.gen(function*() {
      const asked = given.stages.split(",").map((name) => name.trim())
      const unknown = asked.find((name) => !Object.hasOwn(STAGES, name))
      if (unknown !== undefined || !Flags.isOnce(asked.join(","))) {
        return yield* Config.refusal(
          "--stages",
          `expected ${Suggest.either(Object.keys(STAGES))}, each once, got ${given.stages}`,
          "join stages by commas, for example tokenizer,pretrain,probe"
        )
      }
      const early = asked.find((name, at) => asked.indexOf(STAGES[name]!.after ?? name) > at)
      if (early !== undefined) {
        return yield* Config.refusal(
          "--stages",
          `expected ${early} after ${STAGES[early]!.after}, whose network it takes, got ${given.stages}`,
          "write the stages in the order in which they run"
        )
      }
      // Every value is checked before the job waits for hours.
      yield* RunPlace.check(given, { out: "owned", teacher: "networks" })
      const preset = yield* ConfigFlags.resolve(given)
      // A job without it goes on with a run that has its own settings.
      if (asked.includes("tokenizer")) yield* checkStages(preset, asked)
      yield* HandIn.handIn(root, given, {
        out: given.out,
        lines: asked.map((name) => ({ name, ...STAGES[name]!.line(given) }))
      })
    }).pipe(Failure.mapErrors)).pipe(
      Command.withDescription(
        "hand in work for workers: the stages of a run, or jobs submit study, encode, cache"
      ),
      Command.withExamples([
        {
          command: "patchword jobs submit --store runs/store --preset tiny --images emoji --out runs/one"
        },
        {
          command:
            "patchword jobs submit --store postgres://me@db/jobs --stages tokenizer,pretrain,probe --preset base " +
            "--images imagenet.yaml --out /shared/runs/base --engine xla --platform cuda --memory-needed 64"
        }
      ]),
      Command.withSubcommands([study(root), encode(root), cache(root)])
    )
