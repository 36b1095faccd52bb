/** Clients of a plugin. A client is the connection to its devices, and owns all that lives there. */
import { Effect, Result } from "effect"
import { Handles } from "./Handles.ts"
import type { KeyValueStore } from "./KeyValueStore.ts"
import { attempt } from "./PjrtError.ts"
import type { Plugin } from "./Plugin.ts"
import * as Struct from "./Struct.ts"

/** A device that programs run on. */
export interface Device {
  readonly pointer: bigint
  /** The plugin's name of its kind: `cpu`, `NVIDIA H200`. */
  readonly kind: string
  /** The number of the device among those of all processes that compute together. */
  readonly id: number
  /** The number of the process that holds the device; 0 for a process alone. */
  readonly process: number
}

/** The memory of a device, in bytes. `limit` and `peak` are absent if the plugin does not tell them. */
export interface DeviceMemory {
  readonly inUse: number
  readonly peak?: number
  readonly limit?: number
}

/** An open client. Calls are synchronous, so that it belongs into a worker thread. */
export interface Client {
  readonly plugin: Plugin
  readonly pointer: bigint
  /** The plugin's name of the platform: `cpu`, `cuda`. */
  readonly platform: string
  readonly platformVersion: string
  /** The devices of this process. */
  readonly devices: ReadonlyArray<Device>
  readonly handles: Handles
}

/** Options of a plugin by their names, such as `cpu_device_count` or `memory_fraction`. A whole number is a bigint. */
export type Options = Readonly<Record<string, string | bigint | number | boolean>>

const OPTION = ["name", "nameLength", "type", "value", "length"] as const

/** The numbers of an option's types, its value and the value's length. */
const encoded = (value: string | bigint | number | boolean): readonly [bigint, Struct.Word, number] => {
  if (typeof value === "string") return [0n, Buffer.from(value), Buffer.byteLength(value)]
  if (typeof value === "bigint") return [1n, value, 1]
  if (typeof value === "boolean") return [4n, value ? 1n : 0n, 1]
  return [3n, BigInt(new Uint32Array(Float32Array.of(value).buffer)[0]!), 1]
}

/** Returns options as a plugin takes them. */
export const named = (given: Options) => {
  const all = Object.entries(given).map(([key, option]) => {
    const [type, value, length] = encoded(option)
    return Struct.write(OPTION, { name: Buffer.from(key), nameLength: Buffer.byteLength(key), type, value, length })
  })
  return { options: Struct.list(all), optionCount: all.length }
}

const describe = (plugin: Plugin, device: bigint): Device => {
  const { description } = plugin.call("PJRT_Device_GetDescription", { device })
  const { kind, length } = plugin.call("PJRT_DeviceDescription_Kind", { description })
  const { id } = plugin.call("PJRT_DeviceDescription_Id", { description })
  const { process } = plugin.call("PJRT_DeviceDescription_ProcessIndex", { description })
  return { pointer: device, kind: Struct.text(kind, length), id: Number(id), process: Number(process) }
}

/**
 * Opens a client with options of the plugin. All that it owns is freed with it when the scope closes. With `store` it meets the clients of
 * other processes. Fails with `PjrtError` if there is no device, or if the plugin does not know an option.
 */
export const open = Effect.fnUntraced(function*(plugin: Plugin, options: Options = {}, store?: KeyValueStore) {
  const handles = new Handles(plugin)
  const client = yield* Effect.acquireRelease(
    attempt(() => plugin.call("PJRT_Client_Create", { ...named(options), ...store }).client),
    (client) =>
      Effect.sync(() => {
        handles.close()
        plugin.call("PJRT_Client_Destroy", { client })
      })
  )
  return yield* attempt((): Client => {
    const platform = plugin.call("PJRT_Client_PlatformName", { client })
    const version = plugin.call("PJRT_Client_PlatformVersion", { client })
    const { count, devices } = plugin.call("PJRT_Client_AddressableDevices", { client })
    return {
      plugin,
      pointer: client,
      platform: Struct.text(platform.name, platform.length),
      platformVersion: Struct.text(version.version, version.length),
      devices: Struct.words(devices, count).map((device) => describe(plugin, device)),
      handles
    }
  })
})

/** Returns the first device of each of the processes that compute together, in their order. Throws `PjrtError`. */
export const firsts = ({ plugin, pointer: client }: Client): ReadonlyArray<Device> => {
  const { count, devices } = plugin.call("PJRT_Client_Devices", { client })
  const all = Struct.words(devices, count).map((device) => describe(plugin, device)).toSorted((a, b) => a.id - b.id)
  const processes = Map.groupBy(all, ({ process }) => process)
  return Array.from(processes.keys()).toSorted((a, b) => a - b).map((process) => processes.get(process)![0]!)
}

/** Returns the memory of a device by its own figures, or undefined if the plugin has none. */
export const memory = (client: Client, device: Device): DeviceMemory | undefined => {
  const told = client.plugin.ask("PJRT_Device_MemoryStats", { device: device.pointer })
  if (Result.isFailure(told)) return undefined
  const { hasLimit, hasPeak, inUse, limit, peak } = told.success
  return {
    inUse: Number(inUse),
    ...(hasPeak === 0n ? {} : { peak: Number(peak) }),
    ...(hasLimit === 0n ? {} : { limit: Number(limit) })
  }
}
