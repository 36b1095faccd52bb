/**
 * A hash table from SHA-256 digests to their numbers in the order of insertion. It uses typed arrays, takes about 50 bytes
 * of memory per digest, and can hold more digests than any cache has.
 */

/** Length of a key in bytes. */
export const KEY = 32

export class KeyIndex {
  #keys = new Uint8Array(16 * KEY)
  /** Numbers of keys plus one; 0 in free slots. At most half of the slots are in use. */
  #slots = new Int32Array(32)
  #length = 0

  get length(): number {
    return this.#length
  }

  #keyAt(number: number): Uint8Array {
    return this.#keys.subarray(number * KEY, (number + 1) * KEY)
  }

  /** Returns the slot of a key, or the free slot for it. */
  #slotOf(key: Uint8Array): number {
    const mask = this.#slots.length - 1
    // Digests are distributed like random numbers, so any of their bytes serve as a hash.
    let slot = (key[0]! | (key[1]! << 8) | (key[2]! << 16) | (key[3]! << 24)) & mask
    for (;;) {
      const taken = this.#slots[slot]!
      if (taken === 0 || Buffer.compare(this.#keyAt(taken - 1), key) === 0) return slot
      slot = (slot + 1) & mask
    }
  }

  /** Returns the number of a key, or -1. */
  find(key: Uint8Array): number {
    return this.#slots[this.#slotOf(key)]! - 1
  }

  /** Gives a key the next number. A key that is added again gets the new number. */
  add(key: Uint8Array): void {
    if (2 * (this.#length + 1) > this.#slots.length) this.#grow()
    this.#keys.set(key, this.#length * KEY)
    this.#slots[this.#slotOf(key)] = ++this.#length
  }

  #grow(): void {
    const keys = new Uint8Array(2 * this.#keys.length)
    keys.set(this.#keys)
    this.#keys = keys
    this.#slots = new Int32Array(2 * this.#slots.length)
    for (let number = 0; number < this.#length; number++) {
      this.#slots[this.#slotOf(this.#keyAt(number))] = number + 1
    }
  }
}
