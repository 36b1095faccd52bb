/** Flags by their meaning: a name that another program has for a flag, or a key of the configuration. */
import type { HelpDoc } from "effect/cli"
import * as ConfigKeys from "../../domain/config/ConfigKeys.ts"
import * as FieldTerms from "../../domain/config/FieldTerms.ts"
import { Preset } from "../../domain/config/Preset.ts"
import * as TrainingLength from "../../domain/config/TrainingLength.ts"
import * as Suggest from "../../domain/values/Suggest.ts"

const TERMS: Readonly<Record<string, string>> = {
  images: "data data-path data-dir data-set dataset dataset-path input image-dir train-dir imagenet",
  out: "output output-dir output-file log-dir save-dir work-dir run-name",
  preset: "model arch recipe",
  engine: "device backend gpu cuda",
  precision: "dtype fp16 bf16 amp mixed-precision",
  threads: "workers num-workers jobs num-threads cores",
  seed: "random-seed",
  continue: "resume resume-from load",
  from: "checkpoint ckpt weights pretrained finetune init",
  network: "checkpoint ckpt weights",
  teacher: "teacher-model-type rec-target",
  holdout: "val-split validation-split test-size"
}

const KEYS = ConfigKeys.of(Preset).map(({ path }) => path)
const OPTIMIZERS = KEYS.filter((path) => path.at(-1) === "optimizer")
const ALL = [...OPTIMIZERS.flatMap((path) => TrainingLength.names.map((name) => [...path, name])), ...KEYS]
/** The keys without their stages, each once. */
const OF_ANY = [...new Set(ALL.map((path) => path.slice(1).join(".")))].map((key) => key.split("."))

/** The form of a value of the configuration. */
export const SET = "write it as --set pretrain.optimizer.lr=0.001, and see the keys by patchword config"

/** A sentence on a flag that a command does not take; nothing where its meaning is not known. */
export const hint = (option: string, { commandPath = [], flags }: HelpDoc.HelpDoc): string | undefined => {
  const name = option.replace(/^-+/, "")
  const has = (flag: string) => flags.some((known) => known.name === flag)
  const meant = Object.keys(TERMS).filter((flag) => has(flag) && TERMS[flag]!.split(" ").includes(name))
  if (meant.length > 0) return `${option} is ${Suggest.either(meant.map((flag) => `--${flag}`))} here`
  if (!has("set")) return undefined
  // A verb is the name of its stage.
  const stage = commandPath[1] ?? ""
  const keys = FieldTerms.meant([name], ALL)
  const own = FieldTerms.meant([stage, name], ALL)
  const anywhere = FieldTerms.meant([name], OF_ANY).map((path) => ["STAGE", ...path])
  const paths = [own, keys, anywhere].find((some) => some.length > 0) ?? []
  const found = paths.map((path) => `--set ${path.join(".")}=VALUE`)
  return found.length === 0 ? undefined : `${option} is a value of the configuration: ${Suggest.either(found)}`
}
