/** `patchword jobs submit cache`: hands in a cache of a teacher's features, which several workers share. */
import { Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import * as SharedWork from "../../../layers/storage/SharedWork.ts"
import * as ConfigFlags from "../../flags/ConfigFlags.ts"
import * as RunPlace from "../../flags/RunPlace.ts"
import * as Words from "../../flags/Words.ts"
import * as Failure from "../../terminal/Failure.ts"
import type { Root } from "../help.ts"
import * as Tokenizer from "../tokenizer.ts"
import * as HandIn from "./HandIn.ts"

// Shards may be of the images that --again is to find replaced.
const { again: _again, config, folder: _folder, json: _json, shards: _shards, ...own } = Tokenizer.cacheFlags

/** The command, for the verbs of the program. */
export const cache = (root: () => Root) =>
  Command.make("cache", {
    folder: Argument.String("folder").pipe(
      Argument.withDescription("the folder of the cache, as the workers see it")
    ),
    config,
    ...own,
    ...HandIn.shared,
    ...HandIn.flags
  }, (given) =>
    Effect.gen(function*() {
      const { folder, workers } = given
      yield* RunPlace.check(given, { teacher: "networks" })
      yield* SharedWork.checkPlace(given.shards, folder)
      yield* ConfigFlags.onlyOf(["tokenizer"], given)
      yield* ConfigFlags.resolve(given)
      // Without a folder, a process only helps.
      const help = ["tokenizer", "cache", ...Words.ofFlags(given, { ...own, shards: HandIn.shared.shards })]
      yield* HandIn.handIn(root, given, {
        out: folder,
        lines: [{ name: "cache", words: [...help, folder], help, configured: true }],
        workers: Option.getOrNull(workers)
      })
    }).pipe(Failure.mapErrors)).pipe(
      Command.withDescription(
        "hand in a cache of the teacher's features (tokenizer cache), which several workers share"
      ),
      Command.withExamples([
        {
          command: "patchword jobs submit cache /shared/cache --preset base --images /shared/imagenet.yaml " +
            "--teacher clip:/shared/clip.safetensors --shards /shared/features"
        }
      ])
    )
