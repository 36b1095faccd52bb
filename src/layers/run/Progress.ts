/**
 * What a stage tells while it runs. Silent unless a layer says otherwise, so a library user sees nothing and a stage
 * never asks for it in its requirements.
 *
 * ```ts
 * import assert from "node:assert"
 * import { Effect } from "effect"
 * import { Progress } from "patchword/layers"
 *
 * const seen: Array<number> = []
 * const recording = { ...Progress.silent, report: ({ step }: Progress.Report) => Effect.sync(() => void seen.push(step)) }
 * const stage = Effect.gen(function*() {
 *   const progress = yield* Progress.Progress
 *   yield* progress.report({ stage: "pretrain", step: 1, total: 10, metrics: { loss: 6.2 } })
 * })
 * await Effect.runPromise(stage.pipe(Effect.provideService(Progress.Progress, recording)))
 * assert.deepStrictEqual(seen, [1])
 * ```
 */
import { Clock, Console, Context, Duration, Effect, Layer, Option, Stdio, Terminal } from "effect"

/** How far a stage is. */
export interface Report {
  readonly stage: string
  /** Steps taken, and to take in all. */
  readonly step: number
  readonly total: number
  readonly metrics: Readonly<Record<string, number>>
  readonly imagesPerSecond?: number
}

/** Where stages report to. */
export interface Progress {
  /** Takes the report of a step. */
  readonly report: (report: Report) => Effect.Effect<void>
  /** Something worth a line of its own, as a finished stage. */
  readonly message: (text: string) => Effect.Effect<void>
}

/** Takes every report and shows none. */
export const silent: Progress = { report: () => Effect.void, message: () => Effect.void }

/** Where stages report to at present; {@link silent} by default. */
export const Progress = Context.Reference<Progress>("patchword/layers/Progress", { defaultValue: () => silent })

/** How often progress is shown. */
export interface Options {
  /** Where output is no terminal: at least one line in this time. Default 30 seconds. */
  readonly every?: Duration.Input
  /** Where output is no terminal: a line whenever so many more percent are done. Default 10. */
  readonly percent?: number
  /** Where to. Standard error leaves standard output to results, and gets lines only. Default `stdout`. */
  readonly to?: "stdout" | "stderr"
}

/** A stage since its first report in this process. */
interface Running {
  readonly stage: string
  readonly firstStep: number
  readonly firstAt: number
  readonly shownAt: number
  readonly shownPercent: number
}

const BAR = 24
const REDRAW_MILLIS = 100

const bar = (fraction: number): string => {
  const done = Math.round(BAR * fraction)
  return "█".repeat(done) + "░".repeat(BAR - done)
}

const two = (part: number): string => String(part).padStart(2, "0")

const clock = (seconds: number): string => {
  const whole = Math.round(seconds)
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor(whole / 60) % 60
  return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`
}

const fractionOf = ({ step, total }: Report): number => total > 0 ? Math.min(1, step / total) : 1

// A stage measures the batch that it learns from: nobody may take that for what it reaches on a split.
const said = (name: string): string => name.startsWith("accuracy") ? `${name} of the last batch` : name

const line = (report: Report, running: Running, now: number, drawing: string): string => {
  const { imagesPerSecond, metrics, stage, step, total } = report
  const taken = step - running.firstStep
  const left = (total - step) * (now - running.firstAt) / taken / 1000
  return [
    `${stage} ${drawing}${step}/${total} (${Math.floor(100 * fractionOf(report))}%)`,
    ...Object.entries(metrics).map(([name, value]) => `${said(name)} ${Number(value.toPrecision(4))}`),
    ...(imagesPerSecond === undefined ? [] : [`${imagesPerSecond.toFixed(1)} images/s`]),
    ...(taken > 0 && step < total ? [`${clock(left)} left`] : [])
  ].join("  ")
}

/**
 * Shows progress: one bar that is redrawn where standard output is a terminal, else plain lines now and then.
 * The remaining time is extrapolated from the steps since the stage's first report in this process.
 */
export const layerTerminal = (
  options: Options = {}
): Layer.Layer<never, never, Stdio.Stdio | Terminal.Terminal> => {
  const { every = "30 seconds", percent = 10, to = "stdout" } = options
  return Layer.effect(
    Progress,
    Effect.gen(function*() {
      const terminal = yield* Terminal.Terminal
      const interactive = to === "stdout" && (yield* (yield* Stdio.Stdio).stdoutIsTerminal)
      const say = to === "stdout" ? Console.log : Console.error
      const everyMillis = Duration.toMillis(Duration.fromInputUnsafe(every))
      let running: Running | undefined
      let drawn = Option.none<string>()

      const display = (text: string) => Effect.ignore(terminal.display(text))
      const endBar = Effect.suspend(() => {
        const open = Option.isSome(drawn)
        drawn = Option.none()
        return open ? display("\n") : Effect.void
      })
      const draw = Effect.fnUntraced(function*(text: string) {
        const columns = (yield* terminal.columns) || 80
        drawn = Option.some(text.slice(0, columns - 1))
        yield* display(`\r${text.slice(0, columns - 1)}\u001B[K`)
      })

      const report = Effect.fnUntraced(function*(given: Report) {
        const now = yield* Clock.currentTimeMillis
        const first = running?.stage !== given.stage || given.step < running.firstStep
        if (first && interactive) yield* endBar
        const shownPercent = Math.floor(100 * fractionOf(given) / percent)
        const before: Running = first || running === undefined
          ? { stage: given.stage, firstStep: given.step, firstAt: now, shownAt: now, shownPercent }
          : running
        const last = given.step >= given.total
        const due = interactive
          ? now - before.shownAt >= REDRAW_MILLIS
          : now - before.shownAt >= everyMillis || shownPercent > before.shownPercent
        running = before
        if (!first && !last && !due) return
        running = { ...before, shownAt: now, shownPercent }
        if (!interactive) return yield* say(line(given, before, now, ""))
        yield* draw(line(given, before, now, `${bar(fractionOf(given))} `))
        if (last) yield* endBar
      })

      const message = Effect.fnUntraced(function*(text: string) {
        if (!interactive) return yield* say(text)
        yield* display(`\r${text}\u001B[K\n`)
        if (Option.isSome(drawn)) yield* draw(drawn.value)
      })

      // A stage that fails or is interrupted leaves its bar open; what is printed next begins on a line of its own.
      yield* Effect.addFinalizer(() => endBar)
      return { report, message }
    })
  )
}
