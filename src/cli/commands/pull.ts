/** `patchword pull`: a network from the Hugging Face Hub. */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import * as Files from "../../layers/files/Files.ts"
import * as Hub from "../../layers/files/Hub.ts"
import * as ModelFolder from "../../pipelines/artifacts/ModelFolder.ts"
import * as Described from "../flags/Described.ts"
import * as Flags from "../flags/Flags.ts"
import * as HubFlags from "../flags/HubFlags.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Print from "../terminal/Print.ts"

/** The command. */
export const pull = RunPlace.command("pull", {}, {
  repository: HubFlags.repository,
  out: Flag.Directory("out").pipe(Described.required("a new folder, or one of a network, which is replaced")),
  revision: HubFlags.revision,
  json: Flags.json
}, ({ json, out, repository, revision }) =>
  Effect.gen(function*() {
    const { fs } = yield* Files.make
    const names = yield* Effect.orElseSucceed(fs.readDirectory(out), () => [])
    if (names.length > 0 && Option.isNone(yield* ModelFolder.weightsOf(out))) {
      return yield* Config.refusal(
        `--out ${out}`,
        "expected a new folder or the folder of a network, got a folder with other files",
        "name another folder"
      )
    }
    const files = yield* Hub.download(repository, out, yield* HubFlags.options(revision))
    yield* Print.result(json, { folder: out, files: json ? files : files.join(", ") })
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription(
      "fetch a network from the Hugging Face Hub into a folder, whole or not at all; a private one by the token in HF_TOKEN"
    ),
    Command.withExamples([{ command: "patchword pull microsoft/beit-base-patch16-224-pt22k --out models/beit" }])
  )
