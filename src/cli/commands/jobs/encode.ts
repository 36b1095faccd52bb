/** `patchword jobs submit encode`: hands in images to encode, which several workers share. */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as SharedWork from "../../../layers/storage/SharedWork.ts"
import * as Described from "../../flags/Described.ts"
import * as OutputFile from "../../flags/OutputFile.ts"
import * as RunPlace from "../../flags/RunPlace.ts"
import * as Words from "../../flags/Words.ts"
import * as Failure from "../../terminal/Failure.ts"
import * as ImageRows from "../../terminal/ImageRows.ts"
import * as Encode from "../encode.ts"
import type { Root } from "../help.ts"
import * as HandIn from "./HandIn.ts"

const { json: _json, out: _out, replace, shards: _shards, tokenizer, ...own } = Encode.flags

const out = Flag.String("out").pipe(
  Described.required("a safetensors file for the codes, as the workers see it; beside it, codes.csv names the rows")
)

/** The command, for the verbs of the program. */
export const encode = (root: () => Root) =>
  Command.make("encode", {
    tokenizer,
    ...own,
    out,
    replace,
    ...HandIn.shared,
    ...HandIn.flags
  }, (given) =>
    Effect.gen(function*() {
      yield* RunPlace.check(given, { tokenizer: "networks" })
      yield* OutputFile.checkName({ out: given.out, ending: ImageRows.ENDING })
      yield* SharedWork.checkPlace(given.shards, given.out)
      // Without --out, a process only helps.
      const help = ["encode", given.tokenizer, ...Words.ofFlags(given, { ...own, shards: HandIn.shared.shards })]
      const words = [...help, ...Words.ofFlags(given, { out, replace })]
      yield* HandIn.handIn(root, given, {
        out: given.out,
        lines: [{ name: "encode", words, help, configured: false }],
        workers: Option.getOrNull(given.workers)
      })
    }).pipe(Failure.mapErrors)).pipe(
      Command.withDescription("hand in images to encode, which several workers share"),
      Command.withExamples([
        {
          command:
            "patchword jobs submit encode /shared/runs/base --images /shared/imagenet.yaml --shards /shared/codes " +
            "--out /shared/codes.safetensors --workers 3"
        }
      ])
    )
