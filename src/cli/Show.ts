/** Results on standard output. */
import { Console, Effect, Layer, type Stdio, type Terminal } from "effect"
import * as Progress from "../layers/Progress.ts"

const value = (shown: unknown): string =>
  typeof shown === "number"
    ? String(Number.isInteger(shown) ? shown : Number(shown.toPrecision(4)))
    : typeof shown === "string"
    ? shown
    : JSON.stringify(shown)

/** One JSON object, or a line for each of its fields. */
export const result = (json: boolean, fields: object): Effect.Effect<void> =>
  Console.log(
    json
      ? JSON.stringify(fields)
      : Object.entries(fields).filter(([, shown]) => shown !== undefined)
        .map(([name, shown]) => `${name.padEnd(16)} ${value(shown)}`).join("\n")
  )

/** Accuracies by the names of their test sets. */
export const accuracy = (tests: ReadonlyArray<string>, accuracies: ReadonlyArray<number>) => ({
  accuracy: Object.fromEntries(tests.map((name, i) => [name, accuracies[i]]))
})

/** The progress of stages, beside the standard output where that is for a machine. */
export const progress = (json: boolean): Layer.Layer<never, never, Stdio.Stdio | Terminal.Terminal> =>
  Progress.layerTerminal(json ? { to: "stderr" } : {})
