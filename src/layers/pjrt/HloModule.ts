/** Programs of XLA's compiler (HLO): what it made of a StableHLO module. */
import protobuf from "protobufjs"

/** One operation. Sizes are in bytes. */
export interface Instruction {
  readonly id: number
  readonly opcode: string
  /** The function that a `custom-call` calls; else empty. */
  readonly target: string
  /** Size of the result, without the room that a library takes while it computes. */
  readonly bytes: number
  /** Instructions of the same computation. */
  readonly operands: ReadonlyArray<number>
  /** Computations that it runs: the body of a fusion or of a loop. */
  readonly calls: ReadonlyArray<number>
  /** How often the loop runs, if the compiler knows it. */
  readonly trips: number | undefined
}

/** A list of instructions. */
export interface Computation {
  readonly id: number
  readonly instructions: ReadonlyArray<Instruction>
}

/** A whole program. */
export interface HloModule {
  readonly entry: number
  readonly computations: ReadonlyArray<Computation>
}

/** Bits of the element types by XLA's numbers: pred, s8 to s64, u8 to u64, f16 to f64, complex, bf16, the types of 8 and 4 bits. */
const BITS: Readonly<Record<number, number>> = {
  1: 8,
  2: 8,
  3: 16,
  4: 32,
  5: 64,
  6: 8,
  7: 16,
  8: 32,
  9: 64,
  10: 16,
  11: 32,
  12: 64,
  15: 64,
  16: 16,
  18: 128,
  19: 8,
  20: 8,
  21: 4,
  22: 4,
  23: 8,
  24: 8,
  25: 8
}

const field = (id: number, type: string, rule?: "repeated") => (rule === undefined ? { id, type } : { id, type, rule })

const root = protobuf.Root.fromJSON({
  nested: {
    Shape: {
      fields: {
        elementType: field(2, "int32"),
        dimensions: field(3, "int64", "repeated"),
        tupleShapes: field(4, "Shape", "repeated")
      }
    },
    Instruction: {
      fields: {
        opcode: field(2, "string"),
        shape: field(3, "Shape"),
        target: field(28, "string"),
        id: field(35, "int64"),
        operands: field(36, "int64", "repeated"),
        calls: field(38, "int64", "repeated"),
        config: field(43, "bytes")
      }
    },
    Computation: { fields: { instructions: field(2, "Instruction", "repeated"), id: field(5, "int64") } },
    Module: { fields: { computations: field(3, "Computation", "repeated"), entry: field(6, "int64") } },
    ModuleWithConfig: { fields: { module: field(1, "Module") } }
  }
})

const ModuleWithConfig = root.lookupType("ModuleWithConfig")

interface Shape {
  readonly elementType: number
  readonly dimensions: ReadonlyArray<number>
  readonly tupleShapes: ReadonlyArray<Shape>
}

interface Written extends Omit<Instruction, "bytes" | "trips"> {
  readonly shape: Shape
  readonly config: Uint8Array
}

interface Decoded {
  readonly module: {
    readonly entry: number
    readonly computations: ReadonlyArray<{ readonly id: number; readonly instructions: ReadonlyArray<Written> }>
  }
}

const bytesOf = ({ dimensions, elementType, tupleShapes }: Shape): number =>
  tupleShapes.length > 0
    ? tupleShapes.reduce((sum, shape) => sum + bytesOf(shape), 0)
    : Math.ceil((BITS[elementType] ?? 0) * dimensions.reduce((size, dim) => size * dim, 1) / 8)

const S8 = 2

/** The shapes of the results alone. Libraries of NVIDIA have their working room as the last result. */
const results = ({ shape, target }: Written): Shape =>
  target.startsWith("__cu") && shape.tupleShapes.at(-1)?.elementType === S8
    ? { ...shape, tupleShapes: shape.tupleShapes.slice(0, -1) }
    : shape

const tripsOf = (config: Uint8Array): number | undefined => {
  const found = /"known_trip_count":\{"n":"(\d+)"/.exec(Buffer.from(config).toString())
  return found === null ? undefined : Number(found[1])
}

/** Reads the message `HloModuleProtoWithConfig`. */
export const decode = (bytes: Uint8Array): HloModule => {
  const { module } = ModuleWithConfig.toObject(ModuleWithConfig.decode(bytes), {
    longs: Number,
    defaults: true,
    arrays: true
  }) as Decoded
  return {
    entry: module.entry,
    computations: module.computations.map(({ id, instructions }) => ({
      id,
      instructions: instructions.map((one) => ({
        id: one.id,
        opcode: one.opcode,
        target: one.target,
        bytes: bytesOf(results(one)),
        operands: one.operands,
        calls: one.calls,
        trips: one.opcode === "while" ? tripsOf(one.config) : undefined
      }))
    }))
  }
}
