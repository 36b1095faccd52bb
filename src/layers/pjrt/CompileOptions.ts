/** Options of XLA's compiler, as the message `CompileOptionsProto`. */
import protobuf from "protobufjs"

/** A flag of XLA: `true`, `3n`, `0.5`, `"text"`. A whole number is a bigint. */
export type Flag = string | bigint | number | boolean

/** Options of a compilation. */
export interface CompileOptions {
  /** Number of devices that run the program together; default 1. */
  readonly replicas?: number
  /** The number of the device (`Device.id`) of each replica. By default the plugin chooses among those of the process. */
  readonly assignment?: ReadonlyArray<number>
  /** XLA's flags by their names without dashes, such as `xla_gpu_deterministic_ops`. */
  readonly flags?: Readonly<Record<string, Flag>>
}

const field = (id: number, type: string, rule?: "repeated") => (rule === undefined ? { id, type } : { id, type, rule })

const root = protobuf.Root.fromJSON({
  nested: {
    Build: {
      fields: {
        deviceOrdinal: field(1, "int64"),
        numReplicas: field(4, "int64"),
        numPartitions: field(5, "int64"),
        assignment: field(9, "Assignment")
      }
    },
    Assignment: {
      fields: {
        replicas: field(1, "int32"),
        partitions: field(2, "int32"),
        devices: field(3, "ReplicaDevices", "repeated")
      }
    },
    ReplicaDevices: { fields: { ids: field(1, "int64", "repeated") } },
    Flag: {
      // Without it, `false` and 0 would not be written.
      oneofs: { value: { oneof: ["text", "isSet", "whole", "real"] } },
      fields: {
        text: field(1, "string"),
        isSet: field(2, "bool"),
        whole: field(3, "int64"),
        real: field(4, "double")
      }
    },
    NamedFlag: { fields: { name: field(1, "string"), flag: field(2, "Flag") } },
    Options: { fields: { build: field(3, "Build"), flags: field(7, "NamedFlag", "repeated") } }
  }
})

const Options = root.lookupType("Options")

const encoded = (flag: Flag) => {
  if (typeof flag === "string") return { text: flag }
  if (typeof flag === "boolean") return { isSet: flag }
  return typeof flag === "bigint" ? { whole: Number(flag) } : { real: flag }
}

/** Returns the bytes of the message. */
export const encode = ({ assignment, flags = {}, replicas = 1 }: CompileOptions): Uint8Array =>
  Options.encode({
    build: {
      // XLA reads 0 as the first device. -1 leaves the choice to the caller.
      deviceOrdinal: -1,
      numReplicas: replicas,
      numPartitions: 1,
      ...(assignment && { assignment: { replicas, partitions: 1, devices: [{ ids: assignment }] } })
    },
    flags: Object.entries(flags).map(([name, flag]) => ({ name, flag: encoded(flag) }))
  }).finish()
