/** The corruptions that flags name. */
import { Console, Effect, Option } from "effect"
import { Flag } from "effect/cli"
import * as Config from "../../domain/config/Config.ts"
import * as Corruption from "../../domain/corruptions/Corruption.ts"
import * as CorruptionError from "../../domain/evaluation/CorruptionError.ts"
import * as Corrupted from "../../layers/images/Corrupted.ts"
import * as Images from "../../layers/images/Images.ts"
import * as Described from "./Described.ts"
import * as Flags from "./Flags.ts"

const ALL = "all"

/** Kinds, severities, the seed, and the pictures of frost. */
export const flags = {
  corruptions: Flag.String("corruptions").pipe(
    Described.withDefault(
      `kinds of corruption, as fog,snow; all are the fifteen of ImageNet-C, none is none (extra kinds: ${
        Corruption.extraKinds.join(", ")
      })`,
      ALL
    ),
    Flag.map(Flags.names)
  ),
  severities: Flag.String("severities").pipe(
    Described.withDefault("severities from 1 to 5", "1,2,3,4,5"),
    Flag.map(Flags.names)
  ),
  frost: Flag.String("frost").pipe(
    Described.optional(
      "a folder of pictures of frost, as the code of ImageNet-C has them, for the kind frost",
      "no frost"
    )
  ),
  seed: Flag.Int("seed").pipe(Described.withDefault("the seed of random corruptions", 0)),
  alexnetError: Flag.Finite("alexnet-error").pipe(
    Flag.filter((share) => share > 0 && share < 1, () => "above 0 and below 1"),
    Described.withDefault(
      "AlexNet's error on clean images, for the relative corruption error",
      CorruptionError.ALEXNET_CLEAN
    )
  )
}

/** The values of {@link flags} that select corruptions. */
export interface CorruptionFlags {
  readonly corruptions: ReadonlyArray<string>
  readonly severities: ReadonlyArray<string>
  readonly frost: Option.Option<string>
}

const kindsOf = Effect.fnUntraced(function*(names: ReadonlyArray<string>) {
  if (names.length === 1 && names[0] === "none") return []
  const expanded = names.flatMap((name) => name === ALL ? Corruption.kinds : [name])
  const known = new Map<string, Corruption.Kind>(Corruption.Kind.literals.map((kind) => [kind, kind]))
  const unknown = expanded.find((name) => !known.has(name))
  if (unknown !== undefined) {
    return yield* Config.refusal(
      "--corruptions",
      `expected all, none, or of ${[...known.keys()].join(", ")}, got "${unknown}"`
    )
  }
  return Array.from(new Set(expanded), (name) => known.get(name)!)
})

const severitiesOf = Effect.fnUntraced(function*(names: ReadonlyArray<string>) {
  const found = Corruption.Severity.literals.filter((severity) => names.includes(String(severity)))
  return found.length === names.length
    ? found
    : yield* Config.refusal("--severities", `expected numbers from 1 to 5, as 1,3,5, got "${names.join(",")}"`)
})

/**
 * The corruptions that the flags name. Those that are `stored` need no pictures of frost. Fails with 64 for unknown names, and for
 * frost without pictures if it is named.
 */
export const resolve = Effect.fnUntraced(function*(given: CorruptionFlags, stored: boolean) {
  const kinds = yield* kindsOf(given.corruptions)
  const severities = yield* severitiesOf(given.severities)
  const lacking = !stored && Option.isNone(given.frost) && kinds.includes("frost")
  if (lacking && given.corruptions.includes("frost")) {
    return yield* Config.refusal("--corruptions", "expected --frost FOLDER beside it: frost needs pictures of frost")
  }
  if (lacking) {
    yield* Console.error("frost is left out: it needs pictures of frost (--frost FOLDER). Without it there is no mCE")
  }
  return kinds.filter((kind) => !(lacking && kind === "frost"))
    .flatMap((kind) => severities.map((severity): Corruption.Corruption => ({ kind, severity })))
})

/** The pictures of frost for views of a size; none where no folder is named. Fails as they and their images fail. */
export const pictures = ({ frost }: CorruptionFlags, size: number) =>
  Option.match(frost, {
    onNone: () => Effect.succeed([]),
    onSome: (folder) =>
      Effect.flatMap(Images.Images, (images) => images.load("train")).pipe(
        Effect.provide(Images.layerFolder(folder, { splits: [] })),
        Effect.flatMap((set) => Corrupted.frost({ ...set, name: folder }, size))
      )
  })
