/** The things of a client that must be freed: buffers, executables and events. */
import { Effect, Result } from "effect"
import { attempt, type PjrtError } from "./PjrtError.ts"
import type { Plugin } from "./Plugin.ts"

export type Kind = "buffer" | "loaded" | "executable" | "event"

/** A thing that lives in the plugin until it is freed. */
export interface Handle<K extends Kind = Kind> {
  readonly kind: K
  readonly pointer: bigint
  /** Host memory that the plugin reads or writes as long as the handle lives. */
  readonly uses: object | undefined
}

/** How many things of each kind live. */
export type Counts = { readonly [K in Kind]: number }

const DESTROY: { readonly [K in Kind]: (plugin: Plugin, pointer: bigint) => Result.Result<unknown, PjrtError> } = {
  buffer: (plugin, buffer) => plugin.ask("PJRT_Buffer_Destroy", { buffer }),
  loaded: (plugin, executable) => plugin.ask("PJRT_LoadedExecutable_Destroy", { executable }),
  executable: (plugin, executable) => plugin.ask("PJRT_Executable_Destroy", { executable }),
  event: (plugin, event) => {
    // A transfer that goes on would use host memory that is no longer there.
    const ended = plugin.ask("PJRT_Event_Await", { event })
    return Result.andThen(plugin.ask("PJRT_Event_Destroy", { event }), ended)
  }
}

/** The living handles of a client, in the order in which they were made. */
export class Handles {
  readonly #plugin: Plugin
  readonly #alive = new Set<Handle>()

  constructor(plugin: Plugin) {
    this.#plugin = plugin
  }

  /** Takes a pointer of the plugin. */
  own<K extends Kind>(kind: K, pointer: bigint, uses?: object): Handle<K> {
    const handle = { kind, pointer, uses }
    this.#alive.add(handle)
    return handle
  }

  /** Takes an event, if the plugin gave one. It keeps the host memory `uses` until the event is settled. */
  event(pointer: bigint, uses?: object): ReadonlyArray<Handle<"event">> {
    return pointer === 0n ? [] : [this.own("event", pointer, uses)]
  }

  /** Returns the pointer. Throws if the handle is freed, because the plugin would end the process. */
  pointer(handle: Handle): bigint {
    if (!this.#alive.has(handle)) throw new Error(`this handle (${handle.kind}) is freed`)
    return handle.pointer
  }

  /** Frees a handle, or does nothing if it is freed. Waits for an event, and returns the error of what it announces. */
  free(handle: Handle): Result.Result<unknown, PjrtError> {
    return this.#alive.delete(handle) ? DESTROY[handle.kind](this.#plugin, handle.pointer) : Result.void
  }

  /** Waits for events and frees all of them. Throws the first error. */
  settle(events: ReadonlyArray<Handle<"event">>): void {
    for (const ended of events.map((event) => this.free(event))) Result.getOrThrow(ended)
  }

  /** Does the same as `settle`, but leaves the thread free until then. Fails with the first error. */
  settled(events: ReadonlyArray<Handle<"event">>): Effect.Effect<void, PjrtError> {
    const waiting = Effect.promise(() =>
      Promise.all(events.map((event) => this.#plugin.wait("PJRT_Event_Await", { event: this.pointer(event) })))
    )
    return Effect.uninterruptible(Effect.andThen(waiting, attempt(() => this.settle(events))))
  }

  /** Runs calls. Frees all handles that they made if they fail. Fails with `PjrtError`. */
  attempt<A>(body: () => A): Effect.Effect<A, PjrtError> {
    return Effect.suspend(() => {
      const before = new Set(this.#alive)
      return Effect.onError(attempt(body), () => Effect.sync(() => this.#freeBut(before)))
    })
  }

  /** Frees everything. */
  close(): void {
    this.#freeBut(new Set())
  }

  /** Returns the living handles of a kind. */
  alive<K extends Kind>(kind: K): ReadonlyArray<Handle<K>> {
    return Array.from(this.#alive).filter((handle): handle is Handle<K> => handle.kind === kind)
  }

  /** Returns how many handles of each kind live. */
  get counts(): Counts {
    const found = { buffer: 0, loaded: 0, executable: 0, event: 0 }
    for (const { kind } of this.#alive) found[kind]++
    return found
  }

  #freeBut(kept: ReadonlySet<Handle>): void {
    for (const handle of Array.from(this.#alive).toReversed()) if (!kept.has(handle)) this.free(handle)
  }
}
