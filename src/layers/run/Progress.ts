/**
 * Progress of stages. Without a layer, it is silent. Stages use it without naming it in their requirements.
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

/** A part of longer work, for example one run of a study. */
export interface Part {
  readonly name: string
  /** Its number among all parts, from 1. */
  readonly number: number
  readonly total: number
}

/** The progress of a stage. */
export interface Report {
  readonly stage: string
  /** Number of steps so far, and of all steps. */
  readonly step: number
  readonly total: number
  readonly metrics: Readonly<Record<string, number>>
  readonly imagesPerSecond?: number
  /** The part of longer work that this stage belongs to. */
  readonly part?: Part
}

/** A receiver of reports from stages. */
export interface Progress {
  /** Receives the report of a step. */
  readonly report: (report: Report) => Effect.Effect<void>
  /** Receives a message that needs its own line, for example that a stage has finished. */
  readonly message: (text: string) => Effect.Effect<void>
}

/** Receives every report and shows none. */
export const silent: Progress = { report: () => Effect.void, message: () => Effect.void }

/** The present receiver; {@link silent} by default. */
export const Progress = Context.Reference<Progress>("patchword/layers/Progress", { defaultValue: () => silent })

/** Adds the part of longer work to the reports of what runs in it. */
export const inPart = (part: Part) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Progress, (present) =>
    Effect.provideService(self, Progress, {
      ...present,
      report: (report) => present.report({ part, ...report })
    }))

/** Options of the display. */
export interface Options {
  /** Greatest time between two lines if the output is not a terminal; default 30 seconds. */
  readonly every?: Duration.Input
  /** Progress between two lines in percent, if the output is not a terminal; default 10. */
  readonly percent?: number
  /** Output stream; default `stdout`. `stderr` keeps standard output free for results, and gets only lines. */
  readonly to?: "stdout" | "stderr"
}

/** A stage, since its first report in this process. */
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

// This is the accuracy on a training batch, which must not be mistaken for the accuracy on a split.
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
 * Shows progress. On a terminal, standard output gets one bar that is redrawn. Other outputs get plain lines from time to
 * time. The remaining time is extrapolated from the steps since the stage's first report in this process.
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

      // After a failed or interrupted stage, the next output begins on a new line below its bar.
      yield* Effect.addFinalizer(() => endBar)
      return { report, message }
    })
  )
}
