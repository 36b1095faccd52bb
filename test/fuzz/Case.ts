/** The inputs of fuzzing: files in a folder, and what reads them. */
import type { Effect, FileSystem, Path, Scope } from "effect"
import type { Draw } from "./Draw.ts"

/** The content of a file, or the target of a symbolic link. */
export type Content = string | Uint8Array | { readonly link: string }

/** Files by their names in the folder of the case. */
export type Files = Readonly<Record<string, Content>>

/** What a reader made of an input, as people see it. Both are checked. */
export interface Shown {
  /** Lines for a terminal. */
  readonly text?: string
  /** Pages for a browser. Others may see them, so they hold nothing of a file to which a link leads out of the folder. */
  readonly html?: string
  /** A reason why the result is wrong. */
  readonly wrong?: string
}

/** A reader of bytes from outside. */
export interface Reader {
  readonly name: string
  /** Number of cases in `npm test`. */
  readonly tests: number
  /** Valid inputs. */
  readonly seeds: () => Promise<ReadonlyArray<Files>>
  /** Makes the input of a case. Without it, seeds are mutated. */
  readonly make?: (draw: Draw, seeds: ReadonlyArray<Files>) => Files | Promise<Files>
  /** Repairs digests after a mutation, so that readers go on behind them. */
  readonly seal?: (files: Files, draw: Draw) => Files
  /** Reads the folder of the case. */
  readonly read: (
    folder: string
  ) => Effect.Effect<Shown, unknown, FileSystem.FileSystem | Path.Path | Scope.Scope>
}
