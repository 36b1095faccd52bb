/**
 * Signals of the process. The first one interrupts the program, which saves what it has done, if anything, and ends with the signal's exit code: 129
 * after SIGHUP (a terminal that closes), 130 after SIGINT (Ctrl-C), 143 after SIGTERM; where saving fails, with that
 * failure's code. One that comes a second later or more
 * ends it at once.
 */
import { Cause, Exit, Runtime } from "effect"

const CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const
type Signal = keyof typeof CODES
const SIGNALS = Object.keys(CODES) as ReadonlyArray<Signal>

// A terminal sends Ctrl-C to a program and to npm, which hands it on: for so long, another signal is the same one again.
const SAME_MILLIS = 1000

/** What a verb does with a signal: when it stops, and what a second signal loses. */
interface Stop {
  readonly first: string
  readonly lost: string
  /** True if the same command goes on with what was kept. */
  readonly resumes: boolean
}

const TRAINING: Stop = {
  first: "stops at the next step, and keeps the steps that it has taken",
  lost: "; the steps since the last checkpoint are then taken again",
  resumes: true
}
const CACHE: Stop = {
  first: "stops at the next step, and keeps the features that it has computed",
  lost: "; the last features are then computed again",
  resumes: true
}
const ATLAS: Stop = {
  first: "stops after the images at hand, and keeps what it has scanned",
  lost: "; the images since the last saved state are then scanned again",
  resumes: true
}
const IMAGES: Stop = { first: "stops after the images at hand", lost: "", resumes: false }
const OTHER: Stop = { first: "stops", lost: "", resumes: false }

const WORKER: Stop = {
  first: "stops at the next step, keeps a checkpoint and gives its job back",
  lost: "; the steps since the last checkpoint are then taken again",
  resumes: true
}

const STUDIO: Stop = { first: "stops showing the pages", lost: "", resumes: false }

const VERBS: Readonly<Record<string, Stop>> = {
  atlas: ATLAS,
  demo: TRAINING,
  tokenizer: TRAINING,
  "tokenizer cache": CACHE,
  "tokenizer evaluate": IMAGES,
  pretrain: TRAINING,
  finetune: TRAINING,
  segment: TRAINING,
  decoder: TRAINING,
  "decoder evaluate": IMAGES,
  study: TRAINING,
  evaluate: IMAGES,
  probe: IMAGES,
  knn: IMAGES,
  robustness: IMAGES,
  predict: IMAGES,
  encode: IMAGES,
  features: IMAGES,
  complete: IMAGES,
  attention: IMAGES,
  pca: IMAGES,
  doctor: IMAGES,
  studio: STUDIO,
  "jobs worker": WORKER
}

const stopOf = ([verb = "", below]: ReadonlyArray<string>): Stop => VERBS[`${verb} ${below}`] ?? VERBS[verb] ?? OTHER

// A store's address can have a password, which does not belong on a screen.
const masked = (word: string): string => word.replace(/(:\/\/[^\s/:@]*):[^\s/]*@/, "$1:***@")

const quoted = (word: string): string => /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

/** The words as a person typed them, with the script of npm that they came through. */
const commandOf = (words: ReadonlyArray<string>, script: string | undefined): string => {
  if (script === "start") {
    return ["npm start", ...(words.length > 1 ? ["--"] : []), ...words.slice(1).map(masked).map(quoted)].join(" ")
  }
  return [script === "patchword" ? "npm run -s patchword --" : "patchword", ...words.map(masked).map(quoted)].join(" ")
}

const say = (text: string): void => {
  // A bar of progress has no end of its line.
  process.stderr.write(`${process.stderr.isTTY ? "\n" : ""}${text}\n`)
}

/** What is other for a rank of several. */
interface Several {
  /** Is called in place of an interruption. */
  readonly instead?: () => void
  /** The words that start as many ranks. */
  readonly ranks?: string
}

/** Runs the program of a command line as that of the process. */
export const runMain = (words: ReadonlyArray<string>, { instead, ranks }: Several = {}) => {
  const { first, lost, resumes } = stopOf(words)
  return Runtime.makeRunMain(({ fiber, teardown }) => {
    let received: Signal | undefined
    const leave = (signals: ReadonlyArray<Signal>) => {
      for (const signal of signals) process.removeListener(signal, onSignal)
    }
    const onSignal = (signal: Signal) => {
      if (received !== undefined) return
      received = signal
      if (instead !== undefined) return instead()
      // A program that has nothing to save ends before the interruption returns.
      say(`${signal}: patchword ${first}`)
      fiber.interruptUnsafe(fiber.id)
      // A terminal that closes may say so twice, and what is saved then is not to be lost by it.
      const again = setTimeout(() => {
        leave(["SIGINT", "SIGTERM"])
        say(`still at work. Press Ctrl-C again to end at once${lost}`)
      }, SAME_MILLIS)
      fiber.addObserver(() => clearTimeout(again))
    }
    for (const signal of SIGNALS) process.on(signal, onSignal)
    fiber.addObserver((exit) => {
      leave(SIGNALS)
      teardown(exit, (code) => {
        const stopped = received !== undefined && Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
        const ended = stopped ? CODES[received!] : code
        if (stopped && resumes) {
          say(
            `this goes on: ${ranks === undefined ? "" : `${ranks} `}${
              commandOf(words, process.env["npm_lifecycle_event"])
            }`
          )
        }
        if (received !== undefined || ended !== 0) process.exit(ended)
      })
    })
  })
}
