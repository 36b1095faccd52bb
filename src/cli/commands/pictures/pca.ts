/** `patchword pca`: the patches of images in colours, by the principal components of their features. */
import { Command, Flag } from "effect/cli"
import * as LookPictures from "../../../pipelines/look/LookPictures.ts"
import * as Pca from "../../../pipelines/look/Pca.ts"
import * as Described from "../../flags/Described.ts"
import * as LookFlags from "../../flags/LookFlags.ts"
import * as RunPlace from "../../flags/RunPlace.ts"
import * as Failure from "../../terminal/Failure.ts"

/** The command. */
export const pca = RunPlace.command("pca", { network: "measured" }, {
  ...LookFlags.flags,
  foreground: Flag.Literals("foreground", ["none", "inner", "positive", "negative"]).pipe(
    Described.withDefault(
      "the patches that are coloured: all (none), those whose first component is positive or negative, or those with the sign " +
        "that fewer patches at the edges of images have (inner)",
      "none"
    )
  ),
  fitOn: Flag.Int("fit-on").pipe(
    Flag.filter((fitOn) => fitOn >= 1, () => "1 or more"),
    Described.withDefault(
      "the largest number of images that the components are computed of: the first ones of those that are looked at",
      Pca.FIT_ON
    )
  )
}, (given) =>
  LookFlags.opened(given, (found) => {
    const { fitOn, foreground } = given
    return LookFlags.look(given, found, {
      about: { kind: "pca", foreground },
      compute: (set, use) => Pca.pca(found, set, use, { fitOn, foreground }),
      numbers: ({ foreground, values }) => ({ colours: Array.from(values), foreground: Array.from(foreground) }),
      pictures: LookPictures.ofColours,
      figures: ({ explained, fitted }) => ({ explained, fitted })
    })
  }).pipe(Failure.mapErrors)).pipe(
    Command.withDescription(
      "show the patches of images in colours: the first three principal components of their features, of the first images together"
    ),
    Command.withExamples([
      { command: "patchword pca runs/one/pretrain --images photos --out colours" },
      { command: "patchword pca runs/one/pretrain --images photos --foreground inner --out colours" }
    ])
  )
