/** `patchword attention`: where the class token of a network looks. */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Attention from "../../../pipelines/look/Attention.ts"
import * as LookPictures from "../../../pipelines/look/LookPictures.ts"
import * as Described from "../../flags/Described.ts"
import * as LookFlags from "../../flags/LookFlags.ts"
import * as RunPlace from "../../flags/RunPlace.ts"
import * as Failure from "../../terminal/Failure.ts"

const numbers = ({ patches, self }: Attention.Attended) => ({ self, patches: Array.from(patches) })

/** The command. */
export const attention = RunPlace.command("attention", { network: "measured" }, {
  ...LookFlags.flags,
  block: Flag.Int("block").pipe(
    Described.optional("the block, counted from 0 as in the names of its weights", "the last block")
  ),
  keep: Flag.Finite("keep").pipe(
    Flag.filter((keep) => keep > 0 && keep <= 1, () => "a share over 0, and at most 1"),
    Described.optional(
      "also show the patches that hold this share of the mass of each head, as DINO does with 0.6",
      "none are marked"
    )
  )
}, (given) =>
  LookFlags.opened(
    given,
    Effect.fnUntraced(function*(found) {
      const keep = Option.getOrUndefined(given.keep)
      const block = yield* Attention.blockOf(found, { block: Option.getOrUndefined(given.block) })
      yield* LookFlags.look(given, found, {
        about: { kind: "attention", block, ...(keep === undefined ? {} : { keep }) },
        compute: (set, use) => Attention.attention(found, set, use, { block, keep }),
        numbers: ({ heads, mean }) => ({ block, mean: numbers(mean), heads: heads.map(numbers) }),
        pictures: LookPictures.ofAttention,
        figures: () => ({})
      })
    })
  ).pipe(Failure.mapErrors)).pipe(
    Command.withDescription("show the attention of the class token to the patches of images, in each head of a block"),
    Command.withExamples([
      { command: "patchword attention runs/one/pretrain --images photos --out attention" },
      { command: "patchword attention runs/one/pretrain --images photos --block 9 --keep 0.6 --out attention" }
    ])
  )
