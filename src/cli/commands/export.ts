/** `patchword export`: a network as an ONNX file. */
import { Effect, type FileSystem, Option, type Path } from "effect"
import { Command, Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as Export from "../../pipelines/artifacts/Export.ts"
import * as Described from "../flags/Described.ts"
import * as Flags from "../flags/Flags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as OutputFile from "../flags/OutputFile.ts"
import * as PoolingFlags from "../flags/PoolingFlags.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Print from "../terminal/Print.ts"

/** Opens the only kind of network that has the output. */
const ONLY = { codes: Artifact.tokenizer, logits: Artifact.classifier, features: undefined, patches: undefined }

type Opened = Artifact.Artifact | Artifact.SegmenterArtifact

/** The command. */
export const exported = RunPlace.command("export", { network: "networks" }, {
  network: NetworkFlags.network,
  what: Flag.Literals("what", Export.What.literals).pipe(
    Described.required(
      "codes [images, patches] of a tokenizer; features [images, width] of any network, as the verb features gives them; " +
        "patches [images, patches, width] of a tokenizer or a backbone; logits [images, classes] of a classifier; segmentation: " +
        "logits [images, classes, height, width] and labels [images, height, width] of a segmenter, of whole images of its size"
    )
  ),
  ...PoolingFlags.flags,
  out: Flag.File("out").pipe(Described.required("the ONNX file")),
  batch: Flag.Int("batch").pipe(
    Flag.filter((batch) => batch >= 1, () => "1 or more"),
    Described.optional("the number of images at a time", "any number")
  ),
  replace: OutputFile.replace,
  json: Flags.json
}, ({ batch, finalNorm, json, network, out, pooling, replace, what }) =>
  Effect.gen(function*() {
    yield* OutputFile.check({ out: Option.some(out), replace, ending: ".onnx" })
    if (what !== "features" && (Option.isSome(pooling) || Option.isSome(finalNorm))) {
      return yield* Config.refusal(
        `--what ${what}`,
        "expected --what features beside --pooling and --final-norm",
        "leave out --pooling and --final-norm, or write --what features"
      )
    }
    const found = yield* what === "segmentation"
      ? NetworkFlags.chosen<Opened, FileSystem.FileSystem | Path.Path>(network, Artifact.segmenter)
      : NetworkFlags.chosen<Opened, FileSystem.FileSystem | Path.Path>(network, Artifact.open, ONLY[what])
    yield* Export.write(out, found, what, {
      ...(found._tag === "Segmenter"
        ? {}
        : { pooling: yield* PoolingFlags.resolve({ network, pooling, finalNorm }, found._tag) }),
      ...(found.provenance === undefined ? {} : { provenance: found.provenance }),
      ...Option.match(batch, { onNone: () => ({}), onSome: (images) => ({ images }) })
    })
    yield* Print.result(json, { file: out, what, images: Option.getOrElse(batch, () => "any number") })
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription(
      "write a network as an ONNX file for any runtime of ONNX with operator set 17; its input is images with values from 0 to 1"
    ),
    Command.withExamples([
      { command: "patchword export runs/one/tokenizer --what codes --out codes.onnx" },
      { command: "patchword export runs/one/pretrain --what features --pooling cls --out features.onnx" },
      { command: "patchword export runs/one/finetune --what logits --batch 1 --out classifier.onnx" },
      { command: "patchword export runs/scenes/segment --what segmentation --out segmenter.onnx" }
    ])
  )
