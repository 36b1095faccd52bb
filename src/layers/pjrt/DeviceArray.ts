/** Arrays in the memory of a device. */
import * as HostTensor from "../../shapes/HostTensor.ts"
import type { Client, Device } from "./Client.ts"
import * as ElementType from "./ElementType.ts"
import type { Handle } from "./Handles.ts"

/** An array on a device. */
export type DeviceArray = Handle<"buffer">

/** Arrays that are on their way to a device. The host's arrays must not change until `sent` is settled. */
export interface Upload {
  readonly arrays: ReadonlyArray<DeviceArray>
  readonly sent: ReadonlyArray<Handle<"event">>
}

/** Tells PJRT that the host's array stays as it is until the event. */
const UNTIL_SENT = 1

const send = ({ handles, plugin, pointer: client }: Client, device: Device, array: HostTensor.Any) => {
  const made = plugin.call("PJRT_Client_BufferFromHostBuffer", {
    client,
    data: array.data,
    type: ElementType.numberOf(array.dtype),
    dims: BigInt64Array.from(array.shape, BigInt),
    rank: array.shape.length,
    semantics: UNTIL_SENT,
    device: device.pointer
  })
  return { array: handles.own("buffer", made.buffer), sent: handles.event(made.sent, array) }
}

/** Begins to copy arrays to a device. Throws `PjrtError`. */
export const upload = (client: Client, device: Device, arrays: ReadonlyArray<HostTensor.Any>): Upload => {
  const begun = arrays.map((array) => send(client, device, array))
  return { arrays: begun.map(({ array }) => array), sent: begun.flatMap(({ sent }) => sent) }
}

/** Frees arrays that may be on their way. Waits until the host's arrays are no longer read. */
export const discard = ({ handles }: Client, { arrays, sent }: Upload): void => {
  for (const handle of [...sent, ...arrays]) handles.free(handle)
}

/** Copies arrays of these shapes and types from a device, into `memory` if it is given. Throws `PjrtError`. */
export const download = (
  { handles, plugin }: Client,
  arrays: ReadonlyArray<DeviceArray>,
  types: ReadonlyArray<Pick<HostTensor.Any, "shape" | "dtype">>,
  memory?: ReadonlyArray<HostTensor.Any>
): ReadonlyArray<HostTensor.Any> => {
  const begun = arrays.map((array, place) => {
    const { dtype, shape } = types[place]!
    const copy = memory?.[place] ?? HostTensor.zeros(shape, dtype)
    const { received } = plugin.call("PJRT_Buffer_ToHostBuffer", {
      buffer: handles.pointer(array),
      data: copy.data,
      length: copy.data.byteLength
    })
    return { copy, received: handles.event(received, copy) }
  })
  handles.settle(begun.flatMap(({ received }) => received))
  return begun.map(({ copy }) => copy)
}

/** Returns true if a program has taken the array's memory. */
export const isDonated = ({ handles, plugin }: Client, array: DeviceArray): boolean =>
  plugin.call("PJRT_Buffer_IsDeleted", { buffer: handles.pointer(array) }).isDeleted !== 0n

/** Returns the array's size on the device, in bytes. */
export const size = ({ handles, plugin }: Client, array: DeviceArray): number =>
  Number(plugin.call("PJRT_Buffer_OnDeviceSizeInBytes", { buffer: handles.pointer(array) }).bytes)
