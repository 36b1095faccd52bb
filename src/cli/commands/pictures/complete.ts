/** `patchword complete`: fill masked patches of images. */
import { Console, Effect, Layer, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Config from "../../../domain/config/Config.ts"
import * as Files from "../../../layers/files/Files.ts"
import { Images } from "../../../layers/images/Images.ts"
import * as CompletionSample from "../../../layers/run/CompletionSample.ts"
import * as FidelityResults from "../../../layers/run/FidelityResults.ts"
import * as Results from "../../../layers/run/Results.ts"
import * as Artifact from "../../../pipelines/artifacts/Artifact.ts"
import * as CompletionView from "../../../pipelines/completion/CompletionView.ts"
import * as Sampled from "../../../pipelines/completion/Sampled.ts"
import * as LookFolder from "../../../pipelines/look/LookFolder.ts"
import * as Decoder from "../../../pipelines/trained/Decoder.ts"
import * as DecoderFlags from "../../flags/DecoderFlags.ts"
import * as Described from "../../flags/Described.ts"
import * as EngineFlags from "../../flags/EngineFlags.ts"
import * as Flags from "../../flags/Flags.ts"
import * as ImagesFlags from "../../flags/ImagesFlags.ts"
import * as NetworkFlags from "../../flags/NetworkFlags.ts"
import * as RunPlace from "../../flags/RunPlace.ts"
import * as Services from "../../flags/Services.ts"
import * as Failure from "../../terminal/Failure.ts"
import * as FidelityTable from "../../terminal/FidelityTable.ts"
import * as Print from "../../terminal/Print.ts"

const FIGURES = "figures.json"

/** So many images are kept in the run, for its page. */
const KEPT = 8

const KINDS = ["original", "decoded", "masked", "completed"] as const

/** The names of the files of such a folder. Others are not ours to remove. */
const OWN = /^(figures\.json|\d+-(original|decoded|masked|completed)\.png)$/

/** The command. */
export const complete = RunPlace.command("complete", {
  network: "measured",
  decoder: "networks",
  tokenizer: "networks"
}, {
  network: Argument.String("network").pipe(
    Argument.withDescription("a run with a pretrained network, RUN/STAGE, or a file of weights")
  ),
  decoder: Flag.String("decoder").pipe(
    Described.optional("the pixel decoder: a run, RUN/STAGE, or a file of weights", "that of the network's run")
  ),
  tokenizer: DecoderFlags.tokenizer,
  ...ImagesFlags.flags,
  ...EngineFlags.flags,
  split: Flags.split,
  visible: Flag.Literals("visible", ["keep", "decode"]).pipe(
    Described.withDefault(
      "visible patches stay as they are (keep), or are drawn as masked ones are, from their true codes (decode)",
      "keep"
    )
  ),
  examples: Flag.Int("examples").pipe(
    Flag.filter((count) => count >= 1, () => "1 or more"),
    Described.withDefault("the number of images that are written, spread over the split; figures are of all", 16)
  ),
  out: Flag.Directory("out").pipe(Described.required(`the folder for the pictures, as PNG files, and for ${FIGURES}`)),
  replace: Described.flag("replace", "replace a folder of such pictures at --out"),
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    const { examples, json, out, replace, split, visible } = given
    yield* LookFolder.checkFree(out, replace, { file: FIGURES, isOwn: (name) => OWN.test(name) })
    const runFolder = yield* Results.runOf(given.network)
    const ofRun = Option.getOrElse(runFolder, () => given.network)
    const backbone = NetworkFlags.withColour(
      yield* NetworkFlags.chosen(given.network, Artifact.backbone),
      given.colour
    )
    const { decoder, provenance, tokenizer } = yield* DecoderFlags.open({
      decoder: Option.getOrElse(given.decoder, () => ofRun),
      tokenizer: Option.orElse(given.tokenizer, () => runFolder),
      colour: given.colour
    })
    if (backbone.provenance?.teacherDigest !== undefined) {
      yield* Decoder.checkTokenizer("pretrained network", backbone.provenance.teacherDigest, tokenizer)
    }
    yield* Effect.gen(function*() {
      const { path, writeFolder, writeParts } = yield* Files.make
      const set = yield* (yield* Images).load(split)
      yield* ImagesFlags.checkDivision(provenance, [set])
      if (set.length === 0) return yield* Config.refusal("--split", `expected images, but ${split} has none`)
      const digits = String(set.length - 1).length
      const nameOf = (index: number, kind: (typeof KINDS)[number]) =>
        `${String(index).padStart(digits, "0")}-${kind}.png`
      const completing = Sampled.of({ backbone, decoder, tokenizer }, set, { visible, count: examples })
      const context = yield* Effect.context<Effect.Services<typeof completing>>()
      const sampled = yield* writeFolder(
        out,
        Effect.fnUntraced(function*(temporary) {
          const sampled = yield* Effect.provideContext(completing, context)
          const { figures, shown } = sampled
          const put = (name: string, content: Uint8Array) => writeParts(path.join(temporary, name), [content])
          for (const { index, pictures } of shown) {
            for (const kind of KINDS) yield* put(nameOf(index, kind), pictures[kind])
          }
          const images = shown.map(({ index, name }) => ({
            image: name,
            ...Object.fromEntries(KINDS.map((kind) => [kind, nameOf(index, kind)]))
          }))
          yield* put(FIGURES, Buffer.from(`${JSON.stringify({ ...figures, images }, null, 2)}\n`))
          return sampled
        })
      )
      const { figures, shown } = sampled

      const result = yield* Sampled.result(
        set,
        sampled,
        backbone.provenance?.stage ?? "backbone",
        { ...ImagesFlags.recorded(given) }
      )
      const kept = Option.isNone(runFolder) ? [] : [
        ...(yield* FidelityResults.save(runFolder.value, [result])),
        yield* CompletionSample.save(runFolder.value, Sampled.sample(sampled, KEPT))
      ]
      if (json) {
        return yield* Print.result(true, { folder: out, written: shown.length, ...figures, results: kept }, [set])
      }
      yield* Console.log(`${FidelityTable.render([figures], CompletionView.TITLES)}\n`)
      yield* Print.result(false, {
        "visible patches": CompletionView.VISIBLE[visible],
        "right codes": `${Print.percent(figures.codeAccuracy)} %`,
        folder: out,
        "written images": shown.length,
        results: kept.length === 0 ? undefined : kept.join(", ")
      }, [set])
    }).pipe(
      Effect.provide(
        Print.progress(json).pipe(Layer.provideMerge(Services.imagesAndEngine(given, backbone.config)))
      )
    )
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription(
      "fill masked patches: a pretrained network predicts their codes, and a pixel decoder draws them"
    ),
    Command.withExamples([
      { command: "patchword complete runs/one --images photos --out completed" },
      { command: "patchword complete runs/one/pretrain --images emoji --split in-new --visible decode --out completed" }
    ])
  )
