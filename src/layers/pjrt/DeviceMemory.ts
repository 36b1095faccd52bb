/** Refuses programs that no device could hold, before XLA sees them: its plugin for processors ends the process then. */
import { Effect, Result } from "effect"
import { totalmem } from "node:os"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Client from "./Client.ts"
import * as Executable from "./Executable.ts"
import { TooLarge } from "./XlaSessionError.ts"

const bytesOf = (ports: ReadonlyArray<Pick<HostTensor.Any, "shape" | "dtype">>): number =>
  ports.reduce((sum, port) => sum + HostTensor.bytes(port), 0)

const within = (client: Client.Client, what: string, bytes: number): Effect.Effect<void, TooLarge> => {
  const limit = Client.memory(client, client.devices[0]!)?.limit ?? totalmem()
  return bytes <= limit ? Effect.void : Effect.fail(new TooLarge({ what, bytes, limit }))
}

/** XLA counts bytes with 63 bits. Numbers have at most 8 bytes. */
const COUNTED = 2 ** 60

/**
 * Fails with `TooLarge` if an array of a StableHLO module has more numbers than XLA can count. Smaller ones may be in no memory at all,
 * as XLA joins operations.
 */
export const canCount = (client: Client.Client, text: string): Effect.Effect<void, TooLarge> => {
  const shapes = new Set(text.match(/(?<=tensor<)(?:\d+x)+/g))
  const numbers = Array.from(shapes, (shape) => shape.match(/\d+/g)!.reduce((size, length) => size * Number(length), 1))
  const most = numbers.reduce((most, size) => Math.max(most, size), 0)
  return most < COUNTED ? Effect.void : within(client, "an array of the step", 4 * most)
}

/** Fails with `TooLarge` if arrays of these shapes and types do not fit into the device's memory together. */
export const holdsArrays = (
  client: Client.Client,
  ports: Parameters<typeof bytesOf>[0]
): Effect.Effect<void, TooLarge> => within(client, "the state, the batch and the results", bytesOf(ports))

/** Fails with `TooLarge` if a call of a program takes more than the device's memory, as far as the plugin tells it. */
export const holdsCall = (client: Client.Client, executable: Executable.Executable): Effect.Effect<void, TooLarge> => {
  const needed = Executable.memory(client, executable)
  if (Result.isFailure(needed)) return Effect.void
  const { arguments: given, donated, results, temporary } = needed.success
  return within(client, "a step", given + results - donated + temporary)
}
