/**
 * Keys and values that all ranks share. A value that a rank puts goes to every rank, itself included, as a message, and waits there until
 * the rank looks for it. So to put waits for nobody, and to look asks nobody: ranks that all wait for each other's values hold up none of
 * them. A later value of a key takes the place of an earlier one.
 */

/** Messages between ranks. Those from one rank to another arrive in their order. */
export interface Link {
  readonly size: number
  /** Begins to send bytes to a rank, which may be this one. The function that it returns tells whether they have been taken. */
  readonly send: (bytes: Uint8Array, to: number) => () => boolean
  /** Returns the next bytes from a rank, or undefined if none have come. */
  readonly receive: (from: number) => Uint8Array | undefined
}

/** The size of the number before the key, in bytes. */
const HEAD = 4

/** Makes the function that puts a value. */
export const writer = ({ send, size }: Link) => {
  let sending: ReadonlyArray<() => boolean> = []
  return (key: string, value: Uint8Array): void => {
    const name = Buffer.from(key, "latin1")
    const message = new Uint8Array(HEAD + name.length + value.length)
    new DataView(message.buffer).setUint32(0, name.length, true)
    message.set(name, HEAD)
    message.set(value, HEAD + name.length)
    // MPI reads the bytes until they are taken, so they have to stay in memory.
    sending = [
      ...sending.filter((isTaken) => !isTaken()),
      ...Array.from({ length: size }, (_, to) => send(message, to))
    ]
  }
}

/** Makes the function that looks for a value. It returns undefined if none has come. One thread alone of a rank looks. */
export const reader = ({ receive, size }: Link) => {
  const values = new Map<string, Uint8Array>()
  return (key: string): Uint8Array | undefined => {
    for (let from = 0; from < size; from++) {
      for (let message = receive(from); message !== undefined; message = receive(from)) {
        const end = HEAD + new DataView(message.buffer).getUint32(0, true)
        values.set(Buffer.from(message.subarray(HEAD, end)).toString("latin1"), message.subarray(end))
      }
    }
    return values.get(key)
  }
}
