/** `patchword push`: a network to the Hugging Face Hub. */
import { Effect, FileSystem, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Files from "../../layers/files/Files.ts"
import * as Hub from "../../layers/files/Hub.ts"
import * as Artifact from "../../pipelines/artifacts/Artifact.ts"
import * as ModelFolder from "../../pipelines/artifacts/ModelFolder.ts"
import * as Described from "../flags/Described.ts"
import * as Flags from "../flags/Flags.ts"
import * as HubFlags from "../flags/HubFlags.ts"
import * as NetworkFlags from "../flags/NetworkFlags.ts"
import * as RunPlace from "../flags/RunPlace.ts"
import * as Failure from "../terminal/Failure.ts"
import * as Print from "../terminal/Print.ts"

/** The folder of a network, or one that is made of it for as long as the scope lives. */
const folderOf = Effect.fnUntraced(function*(network: string, card: ModelFolder.Card) {
  if (Option.isSome(yield* ModelFolder.weightsOf(network))) return network
  const found = yield* NetworkFlags.chosen(network, Artifact.open)
  const temporary = yield* Files.onFailure("the temporary folder")(
    (yield* FileSystem.FileSystem).makeTempDirectoryScoped({ prefix: "patchword-push-" })
  )
  const folder = `${temporary}/model`
  yield* ModelFolder.write(folder, found, {
    ...card,
    ...(found.provenance === undefined ? {} : { provenance: found.provenance })
  })
  return folder
})

/** The command. */
export const push = RunPlace.command("push", { network: "networks" }, {
  network: Argument.String("network").pipe(
    Argument.withDescription(
      "a folder in the layout of the Hub, or RUN/STAGE or a weights file, of which one is made"
    )
  ),
  repository: HubFlags.repository,
  public: Described.flag("public", "make a new repository public, not private"),
  licence: Flag.String("licence").pipe(
    Described.optional("the licence on the card of a folder that is made, for example mit", "none")
  ),
  title: Flag.String("title").pipe(Described.withDefault("the title of the commit", "Upload model")),
  revision: HubFlags.revision,
  dryRun: Described.flag("dry-run", "say what would be sent, and send nothing"),
  json: Flags.json
}, (given) =>
  Effect.gen(function*() {
    const { dryRun, json, licence, network, public: open, repository, revision, title } = given
    // Before a large folder is written, not after.
    const options = dryRun ? undefined : yield* HubFlags.withToken(revision)
    const name = repository.slice(repository.indexOf("/") + 1)
    const folder = yield* folderOf(network, { name, ...(Option.isNone(licence) ? {} : { licence: licence.value }) })
    const files = yield* Hub.sent(folder)
    const commit = options === undefined
      ? undefined
      : yield* Hub.upload(folder, repository, { ...options, public: open, title })
    yield* Print.result(json, {
      repository,
      visibility: open ? "public, if it is new" : "private, if it is new",
      files: json ? files : files.map(({ bytes, name }) => `${name} (${bytes} bytes)`).join(", "),
      ...(commit === undefined ? { sent: "nothing: --dry-run" } : { commit })
    })
  }).pipe(Effect.scoped, Failure.mapErrors)).pipe(
    Command.withDescription("send a network to the Hugging Face Hub as one commit, by the token in HF_TOKEN"),
    Command.withExamples([
      { command: "patchword push runs/one/pretrain someone/beit-tiny --dry-run" },
      { command: "patchword push models/beit someone/beit --public" }
    ])
  )
