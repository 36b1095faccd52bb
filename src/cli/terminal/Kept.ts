/** Results in a folder. Figures that cannot be kept are printed nevertheless: they may have taken hours. */
import { Effect, Option, Result } from "effect"
import * as Results from "../../layers/run/Results.ts"

/** Saves results in a folder, if there is one, then prints. A failure to save comes after the print. */
export const keep = Effect.fnUntraced(function*<E, R>(
  folder: Option.Option<string>,
  results: ReadonlyArray<Results.Result>,
  json: boolean,
  print: (files: string | ReadonlyArray<string>) => Effect.Effect<void, E, R>
) {
  const saved = Option.isNone(folder) ? undefined : yield* Effect.result(Results.save(folder.value, results))
  const files = saved === undefined || Result.isFailure(saved) ? undefined : saved.success
  const why = saved === undefined ? "the network belongs to no run; name a folder with --out" : "see below"
  yield* print(json ? files ?? [] : files?.join(", ") ?? `not kept: ${why}`)
  if (saved !== undefined && Result.isFailure(saved)) return yield* Effect.fail(saved.failure)
})
