/** The teacher that flags name. */
import { Effect, type FileSystem, Layer, Option, type Path } from "effect"
import { Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import type { Preset } from "../../domain/config/Preset.ts"
import type { Channels } from "../../domain/pixels/Normalize.ts"
import type { Engine } from "../../layers/engine/Engine.ts"
import type { Images } from "../../layers/images/Images.ts"
import * as Teacher from "../../layers/teacher/Teacher.ts"
import * as Clip from "../../nn/teachers/Clip.ts"
import * as Dino from "../../nn/teachers/Dino.ts"
import * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as SelfDistillation from "../../pipelines/SelfDistillation.ts"
import * as Described from "./Described.ts"
import * as NetworkFlags from "./NetworkFlags.ts"

/** The teacher, and its properties that a file of weights does not hold. */
export const flags = {
  teacher: Flag.String("teacher").pipe(
    Described.withDefault(
      "hog, clip:FILE, dino:FILE, onnx:FILE#OUTPUT, run:RUN or cache:FOLDER; patchword help teachers explains them",
      "hog"
    )
  ),
  teacherSkip: Flag.Int("teacher-skip").pipe(
    Flag.filter((skip) => skip >= 0, () => "0 or more"),
    Described.optional("tokens of onnx:FILE before the first patch, for example 1 for a class token", "0")
  ),
  teacherChannels: Flag.String("teacher-channels").pipe(
    Described.optional(
      "normalisation of the pixels: plain (0 to 1), half (-1 to 1), imagenet, clip, or three means and three deviations",
      "plain for onnx:FILE; else the configuration beside the file, else the usual one of the teacher"
    )
  ),
  teacherActivation: Flag.Literals("teacher-activation", ["quick_gelu", "gelu"]).pipe(
    Described.optional(
      "activation of clip:FILE: quick_gelu in OpenAI's weights, gelu in most of OpenCLIP's",
      "the configuration's beside the file, else quick_gelu"
    )
  ),
  teacherHeads: Flag.Int("teacher-heads").pipe(
    Flag.filter((heads) => heads >= 1, () => "1 or more"),
    Described.optional(
      "attention heads of clip:FILE or dino:FILE",
      "the configuration's beside the file, else 64 channels each"
    )
  )
}

/** The values of {@link flags}. */
export interface TeacherFlags {
  readonly teacher: string
  readonly teacherSkip: Option.Option<number>
  readonly teacherChannels: Option.Option<string>
  readonly teacherActivation: Option.Option<Clip.Mlp>
  readonly teacherHeads: Option.Option<number>
}

/** Returns the file of a network of DINO, if a teacher is one: `dino:FILE`. */
export const dinoFile = (teacher: string): string | undefined => /^dino:(.+)$/.exec(teacher)?.[1]

const TEACHERS = "hog, clip:FILE, dino:FILE, onnx:FILE#OUTPUT, run:RUN or cache:FOLDER"

/** The flags that change what a teacher says, and the teachers that take them. */
const TAKEN = [
  ["teacherSkip", "--teacher-skip", "onnx"],
  ["teacherChannels", "--teacher-channels", "onnx", "clip", "dino"],
  ["teacherActivation", "--teacher-activation", "clip"],
  ["teacherHeads", "--teacher-heads", "clip", "dino"]
] as const

const CHANNELS: Readonly<Record<string, Channels>> = {
  plain: { mean: [0, 0, 0], std: [1, 1, 1] },
  half: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  imagenet: Dino.CHANNELS,
  clip: Clip.CHANNELS
}

const channelsOf = (text: string | undefined): Effect.Effect<Channels | undefined, Config.ConfigError> => {
  if (text === undefined) return Effect.undefined
  if (Object.hasOwn(CHANNELS, text)) return Effect.succeed(CHANNELS[text]!)
  const numbers = text.split(",").map((part) => (part.trim() === "" ? NaN : Number(part)))
  const [a = NaN, b = NaN, c = NaN, d = NaN, e = NaN, f = NaN] = numbers
  return numbers.length === 6 && numbers.every(Number.isFinite) && Math.min(d, e, f) > 0
    ? Effect.succeed({ mean: [a, b, c], std: [d, e, f] })
    : Effect.fail(Config.refusal(
      "--teacher-channels",
      `expected ${Object.keys(CHANNELS).join(", ")}, or three means and three deviations greater than 0 (for example ` +
        `0.5,0.5,0.5,0.25,0.25,0.25), got ${text}`,
      "name the normalisation that the teacher was trained with"
    ))
}

const of = <K extends string, A>(key: K, given: Option.Option<A>) =>
  Option.match(given, { onNone: () => ({}), onSome: (value) => ({ [key]: value }) }) as { readonly [P in K]?: A }

const made = Effect.fnUntraced(function*(
  given: TeacherFlags,
  { tokenizer: { augment, encoder, seed } }: Preset
): Effect.fn.Return<
  Layer.Layer<Teacher.Teacher, Teacher.TeacherError, Engine | Images>,
  Config.ConfigError | Artifact.OpenError,
  FileSystem.FileSystem | Path.Path
> {
  const { imageSize, patchSize } = encoder
  const { teacher, teacherActivation, teacherChannels, teacherHeads, teacherSkip } = given
  const [, kind = "", file = "", output] = /^(\w+)(?::([^#]+))?(?:#(.+))?$/.exec(teacher) ?? []
  for (const [key, flag, ...kinds] of TAKEN) {
    if (given[key]._tag === "None" || kinds.some((one) => one === kind)) continue
    const wanted = kinds.map((one) => `${one}:FILE`).join(" or ")
    return yield* Config.refusal(flag, `expected --teacher ${wanted}, got ${teacher}`, `leave out ${flag}`)
  }
  const channels = Option.fromUndefinedOr(yield* channelsOf(Option.getOrUndefined(teacherChannels)))
  const own = { ...of("heads", teacherHeads), ...of("channels", channels) }
  if (kind === "hog" && file === "") return Teacher.layerHog({ patchSize, imageSize, seed, augment })
  if (file !== "") {
    switch (kind) {
      case "clip":
        return Teacher.layerClip(file, { ...own, ...of("activation", teacherActivation) })
      case "dino":
        return Teacher.layerDino(file, own)
      case "onnx":
        return Teacher.layerOnnx(file, {
          imageSize,
          ...of("output", Option.fromUndefinedOr(output)),
          ...of("channels", channels),
          ...of("skip", teacherSkip)
        })
      case "cache":
        return Teacher.layerCached(file)
      case "run": {
        const found = yield* NetworkFlags.chosen(file, Artifact.open)
        if (found._tag === "Backbone") return SelfDistillation.layerBackbone(found)
        if (found._tag === "Tokenizer") return SelfDistillation.layerTokenizer(found)
        return yield* Config.refusal(
          "--teacher",
          `expected a tokenizer or a backbone at ${file}, got a classifier`,
          "name the network that the classifier was trained from"
        )
      }
    }
  }
  return yield* Config.refusal(
    "--teacher",
    `expected ${TEACHERS}, got ${teacher}`,
    "see patchword help teachers"
  )
})

/** The teacher that the flags name, for a preset's tokenizer. Fails with 64 when they name none that there is. */
export const layer = (given: TeacherFlags, preset: Preset) => Layer.unwrap(made(given, preset))
