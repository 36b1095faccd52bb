/** `patchword study`: the ablations of the paper. */
import { Console, Effect, Layer, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import type { Preset } from "../../domain/config/Preset.ts"
import * as Ablation from "../../domain/study/Ablation.ts"
import * as Suggest from "../../domain/values/Suggest.ts"
import * as Files from "../../layers/files/Files.ts"
import { Images } from "../../layers/images/Images.ts"
import { Teacher } from "../../layers/teacher/Teacher.ts"
import * as TeacherEncoder from "../../layers/teacher/TeacherEncoder.ts"
import * as Study from "../../pipelines/study/Study.ts"
import { studyPlan } from "../../pipelines/study/StudyPlan.ts"
import * as StudyWork from "../../pipelines/study/StudyWork.ts"
import * as OtherEncoder from "../../pipelines/training/OtherEncoder.ts"
import * as ConfigFlags from "../flags/ConfigFlags.ts"
import * as Described from "../flags/Described.ts"
import * as EngineFlags from "../flags/EngineFlags.ts"
import * as Flags from "../flags/Flags.ts"
import * as ImagesFlags from "../flags/ImagesFlags.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Services from "../flags/Services.ts"
import * as TeacherFlags from "../flags/TeacherFlags.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Print from "../terminal/Print.ts"
import * as StudyTable from "../terminal/StudyTable.ts"

const { seed: _, ...configFlags } = ConfigFlags.flags

const TABLES = Ablation.all.map(({ name }) => name)

/** The table and the rows that are named; nothing without a name. */
const named = Effect.fnUntraced(function*(given: Option.Option<string>) {
  if (Option.isNone(given)) return undefined
  const [name = "", rows] = given.value.split("/", 2)
  const table = Ablation.all.find((one) => one.name === name)
  if (table !== undefined) return { table, rows: rows === undefined ? undefined : Flags.names(rows) }
  return yield* Config.refusal(
    "study",
    `expected ${Suggest.either(TABLES)}, got ${name}`,
    "name a table, or a row such as table5/none; patchword study lists them"
  )
})

const seedsOf = (list: string): Effect.Effect<ReadonlyArray<number>, Config.ConfigError> => {
  const seeds = list.split(",").map((part) => /^-?\d+$/.test(part) ? Number(part) : NaN)
  if (seeds.every(Number.isSafeInteger) && new Set(seeds).size === seeds.length) return Effect.succeed(seeds)
  return Effect.fail(
    Config.refusal(
      "--seeds",
      `expected different whole numbers joined by commas, got ${list}`,
      "write for example --seeds 0,1,2"
    )
  )
}

/** The teachers that are named: a kind that is named twice has a number. */
const teachersOf = (given: TeacherFlags.TeacherFlags, list: Option.Option<string>) => {
  const asked = Option.match(list, { onNone: () => [given.teacher], onSome: Flags.names })
  const kinds = asked.map((one) => one.split(":", 1)[0]!)
  return asked.map((teacher, i) => {
    const kind = kinds[i]!
    const before = kinds.slice(0, i).filter((one) => one === kind).length
    const file = TeacherFlags.dinoFile(teacher)
    const heads = Option.match(given.teacherHeads, { onNone: () => ({}), onSome: (heads) => ({ heads }) })
    return {
      kind,
      name: before === 0 ? kind : `${kind}-${before + 1}`,
      layer: (preset: Preset) => Layer.provide(TeacherFlags.layer({ ...given, teacher }, preset), Files.layerNode),
      encoder: file === undefined
        ? undefined
        : Effect.map(Effect.provide(TeacherEncoder.dino(file, heads), Files.layerNode), OtherEncoder.ofTeacher)
    }
  })
}

/** The flags of a study. */
export const flags = {
  table: Argument.String("table").pipe(
    Argument.withDescription(`${Suggest.either(TABLES)}, or rows such as table5/none,late (default: lists all rows)`),
    Argument.optional
  ),
  seeds: Flag.String("seeds").pipe(Described.withDefault("the random seeds of each row", "0,1,2")),
  ...configFlags,
  ...ImagesFlags.flags,
  split: Flags.split,
  test: Flag.String("test").pipe(Described.withDefault("the split of all figures", "val")),
  ...TeacherFlags.flags,
  teachers: Flag.String("teachers").pipe(
    Described.optional(
      "the teachers of table6, for example dino:dino.pth,clip:clip.safetensors; dino also has a row of its own network",
      "the one of --teacher"
    )
  ),
  cache: Described.flag(
    "cache",
    "compute the teacher's features once for all tokenizers of a seed, and keep them in OUT/features"
  ),
  ...EngineFlags.flags,
  plan: Described.flag("plan", "print what would run and about how long, and run nothing"),
  out: Flag.String("out").pipe(
    Described.withDefault("the folder of the study; a study there that is not finished goes on", "runs/study")
  ),
  json: Flags.json
}

interface Asked extends Omit<ConfigFlags.ConfigFlags, "seed">, TeacherFlags.TeacherFlags {
  readonly table: Option.Option<string>
  readonly seeds: string
  readonly teachers: Option.Option<string>
}

/** The study that flags ask for, all of it checked. */
export const resolve = Effect.fnUntraced(function*(given: Asked) {
  yield* ConfigFlags.onlyOf(["tokenizer", "pretrain", "finetune", "probe"], given)
  const asked = yield* named(given.table)
  const seeds = yield* seedsOf(given.seeds)
  const teachers = teachersOf(given, given.teachers)
  const told = Study.teachersOf({ teachers })
  const preset = yield* ConfigFlags.resolve({ ...given, seed: Option.none() })
  if (asked !== undefined) {
    const { rows, table } = asked
    if (Option.isSome(given.teachers) && table.number !== 6) {
      return yield* Config.refusal("--teachers", `expected table6, got ${table.name}`, "name one teacher by --teacher")
    }
    yield* StudyWork.all(table, preset, { rows, seeds, teachers: told })
  }
  return { asked, preset, seeds, teachers, told }
})

/** The command. */
export const study = RunPlace.command("study", {}, flags, (given) =>
  Effect.gen(function*() {
    const { cache, json, out, split, test } = given
    const { asked, preset, seeds, teachers, told } = yield* resolve(given)
    if (asked === undefined) {
      const rows = Ablation.all.map((table) => ({ table: table.name, rows: table.rows(preset, told) }))
      return yield* Console.log(json ? JSON.stringify(rows) : StudyTable.list(preset, told))
    }
    const { rows, table } = asked
    const options = { out, seeds, teachers, rows, split, test, cache }
    const services = Layer.merge(
      Services.imagesAndEngine(given, preset.tokenizer),
      Print.progress(json)
    )
    yield* Effect.gen(function*() {
      if (given.plan) {
        const set = yield* (yield* Images).load(split)
        const teacherWidth = yield* Effect.provide(
          Effect.map(Teacher, ({ width }) => width),
          teachers[0]!.layer(preset)
        )
        const facts = { images: set.length, classes: set.classes.length, teacherWidth }
        const planned = yield* studyPlan(table, preset, { ...options, ...facts })
        return yield* Console.log(json ? JSON.stringify(planned) : StudyTable.plan(planned))
      }
      if (table.number === 6 && teachers.some(({ kind }) => kind === "clip")) {
        yield* Console.error(
          "table6: no row fine-tunes clip itself: its network has a norm before the blocks, and a classifier has none"
        )
      }
      const report = yield* Study.study(table, preset, options)
      const files = ["json", "csv", "html"].map((ending) => `${out}/${table.name}.${ending}`)
      if (json) return yield* Console.log(JSON.stringify({ ...report, files }))
      yield* Console.log(`${StudyTable.render(report)}\n\nThe table is ${files.join(", ")}`)
    }).pipe(Effect.provide(services))
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("run the paper's ablations (tables 4, 5 and 6) on your images, under several seeds"),
    Command.withExamples([
      { command: "patchword study" },
      { command: "patchword study table5 --images emoji --test in-new --plan" },
      { command: "patchword study table5/none,shared --images emoji --test in-new --seeds 0,1 --out runs/study" },
      {
        command:
          "patchword study table6 --preset base --images imagenet.yaml --teachers dino:dino.pth,clip:clip.safetensors " +
          "--out runs/targets"
      }
    ])
  )
