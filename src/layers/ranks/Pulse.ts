/**
 * The pulse of a job: every rank tells rank 0 from time to time that it lives, and rank 0 tells all others. So a rank that has died
 * or hangs is noticed, also where the program that started the ranks does not watch them. It needs no call that waits for all.
 */

/** What a rank says of itself. Rank 0 says what it knows of all. */
export type State = "working" | "stopping" | "finished" | "failed" | "lost"

/** A message of a pulse. `rank` is whom it is about. `code` is the exit code of a rank that failed. */
export interface Beat {
  readonly state: State
  readonly rank: number
  readonly code: number
}

/** Messages between two ranks. Both functions begin something, and the function that they return tells of its end. */
export interface Link {
  readonly send: (beat: Beat, to: number) => () => boolean
  readonly receive: (from: number) => () => Beat | undefined
}

/** Options of a pulse. */
export interface Options {
  readonly rank: number
  readonly size: number
  /** A rank that says nothing for so long is lost, in milliseconds. */
  readonly limit: number
  readonly link: Link
  /** The present time, in milliseconds. */
  readonly begun: number
  /** Is called on rank 0 when another rank asks to stop. */
  readonly onStop: () => void
}

/** A pulse. */
export interface Pulse {
  /** Sends and receives what is due at a time, in milliseconds. It never waits. */
  readonly tick: (time: number) => void
  /** Says from now on what this rank does. */
  readonly become: (state: State, code?: number) => void
  /** The rank that failed or is lost, if there is one. */
  readonly verdict: () => Beat | undefined
  /** True if there is nothing more to send or to receive. */
  readonly isOver: () => boolean
}

/** Messages within the limit, so that one may be late. */
const BEATS = 16

interface Peer {
  readonly rank: number
  heard: number
  /** True while it may say more. */
  open: boolean
  said: State
  incoming: (() => Beat | undefined) | undefined
  outgoing: (() => boolean) | undefined
  sentAt: number
  sent: State | undefined
}

const isLast = (state: State): boolean => state === "finished" || state === "failed" || state === "lost"

/** Makes the pulse of a rank. */
export const make = ({ begun, limit, link, onStop, rank, size }: Options): Pulse => {
  const peers: ReadonlyArray<Peer> = Array.from(
    { length: rank === 0 ? size - 1 : 1 },
    (_, i): Peer => {
      const other = rank === 0 ? i + 1 : 0
      return {
        rank: other,
        heard: begun,
        open: true,
        said: "working",
        incoming: link.receive(other),
        outgoing: undefined,
        sentAt: -Infinity,
        sent: undefined
      }
    }
  )
  let own: Beat = { state: "working", rank, code: 0 }
  let found: Beat | undefined
  let last = begun
  let stopped = false

  const note = (peer: Peer, beat: Beat): void => {
    peer.said = beat.state
    peer.open = !isLast(beat.state)
    // A rank that has failed itself hears of it from rank 0.
    if ((beat.state === "failed" || beat.state === "lost") && own.state !== "failed") found ??= beat
    if (beat.state === "stopping" && rank === 0 && !stopped) {
      stopped = true
      onStop()
    }
  }
  /** What is to be said now. Rank 0 says that it has finished after all others have. */
  const word = (): Beat => {
    if (found !== undefined) return rank === 0 ? found : own
    const early = rank === 0 && own.state === "finished" && peers.some(({ said }) => said !== "finished")
    return early ? { ...own, state: "working" } : own
  }

  const tick = (time: number): void => {
    // This process was stopped itself, so the silence tells nothing.
    if (time - last > limit / 2) { for (const peer of peers) peer.heard = time }
    last = time
    for (const peer of peers) {
      const beat = peer.incoming?.()
      if (beat !== undefined) {
        peer.heard = time
        note(peer, beat)
        peer.incoming = peer.open ? link.receive(peer.rank) : undefined
      } else if (peer.open && time - peer.heard > limit) found ??= { state: "lost", rank: peer.rank, code: 0 }
    }
    const beat = word()
    for (const peer of peers) {
      if (peer.outgoing?.() === true) peer.outgoing = undefined
      if (peer.outgoing !== undefined || (peer.sent !== undefined && isLast(peer.sent))) continue
      if (peer.sent === beat.state && time - peer.sentAt < limit / BEATS) continue
      peer.outgoing = link.send(beat, peer.rank)
      peer.sentAt = time
      peer.sent = beat.state
    }
  }

  return {
    tick,
    become: (state, code = 0) => {
      if (!isLast(own.state)) own = { state, rank, code }
    },
    verdict: () => found,
    isOver: () => {
      const said = peers.every(({ outgoing, sent }) => outgoing === undefined && sent !== undefined && isLast(sent))
      return said && (own.state === "failed" || found !== undefined || peers.every(({ open }) => !open))
    }
  }
}
