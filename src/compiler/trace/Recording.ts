/**
 * The record of a pure computation that pauses by an exception. When it is called again, it gets the results of its record, and goes on
 * behind them.
 */
import { NotTraceable } from "../kernels/Tracer.ts"

/** The number of kernels that are called without a pause. */
const MOST = 48

/** The exception of a pause. */
export const PAUSED = new Error("a step is traced in parts, and pauses by this exception; let it pass")

interface Entry {
  readonly name: string
  isDone: boolean
  value: unknown
}

/** The results of a computation's parts, in the order of their calls. A part that is done stands for the parts within it. */
export class Recording {
  private readonly entries: Array<Entry> = []
  private place = 0
  private calls = 0

  /** Goes back to the first part. */
  restart(): void {
    this.place = 0
    this.calls = 0
  }

  /** True if the computation had to pause, also where it caught the exception. */
  get isPaused(): boolean {
    return this.calls > MOST
  }

  /**
   * Returns the result of the next part from the record, or computes it.
   *
   * @throws NotTraceable when the record has another part here.
   */
  part<A>(compute: () => A, name = "a part"): A {
    const { entries, place } = this
    if (place === entries.length) this.check()
    this.place++
    const entry = entries[place] ?? { name, isDone: false, value: undefined }
    if (entry.name !== name) {
      throw new NotTraceable(
        `a step that was called again did ${name} in place of ${entry.name}; it must do the same in every call`
      )
    }
    if (!entry.isDone) {
      entries[place] = entry
      entry.value = compute()
      this.check()
      entry.isDone = true
      entries.length = this.place = place + 1
    }
    // The same call put it there.
    return entry.value as A
  }

  /** Computes a part for each value. The record counts them, and has no parts of those that are done. */
  map<A, B>(values: ReadonlyArray<A>, of: (value: A) => B): ReadonlyArray<B> {
    const results = this.part<Array<B>>(() => [])
    const { place } = this
    while (results.length < values.length) {
      results.push(this.part(() => of(values[results.length]!)))
      this.entries.length = this.place = place
    }
    return results
  }

  /** Pauses, or calls a kernel as a part. */
  kernel<A>(name: string, compute: () => A): A {
    if (this.place === this.entries.length) this.calls++
    return this.part(compute, name)
  }

  /** Pauses again where a pause was caught. */
  private check(): void {
    if (this.isPaused) throw PAUSED
  }
}
