/**
 * GPUs as XLA's compiler sees them: numbers that OpenXLA publishes for common cards. With them it compiles a program for a card that the
 * machine does not have.
 */

/** The rates of a card's units for products, where OpenXLA tells them. */
export interface Units {
  readonly gigahertz: number
  /** Multiplications with additions of one unit in one clock, of 16 bits and of 64 bits. */
  readonly half: number
  readonly double: number
  /** Operations on 16 bits of one lane in one clock, beside products. */
  readonly lane: number
}

/** A card. Sizes are in bytes. */
export interface Card {
  /** The name that NVIDIA's driver tells. */
  readonly name: string
  readonly capability: readonly [major: number, minor: number]
  /** True if the compiler may use what only this very capability has. */
  readonly accelerated: boolean
  readonly cores: number
  readonly gigahertz: number
  /** Lanes and threads of one core. */
  readonly lanes: number
  readonly threads: number
  /** Shared memory of one core, and the most that one block of threads may take. */
  readonly shared: number
  readonly sharedByBlock: number
  readonly cache: number
  readonly memory: number
  /** Bytes of memory in one second. */
  readonly bandwidth: number
  readonly units?: Units
}

const hopper = {
  capability: [9, 0],
  accelerated: true,
  cores: 132,
  gigahertz: 1.98,
  lanes: 128,
  threads: 2048,
  shared: 233_472,
  sharedByBlock: 232_448,
  cache: 52_428_800,
  units: { gigahertz: 1.829_520_1, half: 512, double: 32, lane: 2 }
} as const

/** Cards by the names of `--device`. */
export const cards = {
  a100: {
    name: "NVIDIA A100-SXM4-80GB",
    capability: [8, 0],
    accelerated: false,
    cores: 108,
    gigahertz: 1.41,
    lanes: 64,
    threads: 2048,
    shared: 167_936,
    sharedByBlock: 166_912,
    cache: 41_943_040,
    memory: 85_100_068_864,
    bandwidth: 2.039_04e12
  },
  a6000: {
    name: "NVIDIA RTX A6000",
    capability: [8, 6],
    accelerated: false,
    cores: 84,
    gigahertz: 1.8,
    lanes: 128,
    threads: 1536,
    shared: 102_400,
    sharedByBlock: 101_376,
    cache: 6_291_456,
    memory: 51_041_271_808,
    bandwidth: 7.680_96e11
  },
  b200: {
    name: "NVIDIA B200",
    capability: [10, 0],
    accelerated: true,
    cores: 148,
    gigahertz: 1.965,
    lanes: 128,
    threads: 2048,
    shared: 233_472,
    sharedByBlock: 232_448,
    cache: 132_644_864,
    memory: 191_514_411_008,
    bandwidth: 7.672_32e12,
    units: { gigahertz: 1.835_310_1, half: 1024, double: 16, lane: 1 }
  },
  h100: { ...hopper, name: "NVIDIA H100 80GB HBM3", memory: 84_942_979_072, bandwidth: 3.352_32e12 },
  h200: { ...hopper, name: "NVIDIA H200 141GB HBM3e", memory: 151_397_597_184, bandwidth: 4.8e12 },
  rtx6000pro: {
    name: "NVIDIA RTX PRO 6000 Blackwell",
    capability: [12, 0],
    accelerated: false,
    cores: 188,
    gigahertz: 2.6,
    lanes: 128,
    threads: 1536,
    shared: 131_072,
    sharedByBlock: 101_376,
    cache: 134_217_728,
    memory: 103_079_215_104,
    bandwidth: 1.792e12
  }
} as const satisfies Record<string, Card>

/** The name of a card. */
export type Name = keyof typeof cards

/** Units for products in one core of all cards with {@link Units}. */
const UNITS = 4

/** Numbers of XLA's element types, by the bits that they take. */
const TYPES = {
  eight: [2, 6, 19, 20, 23, 24, 25, 28, 29, 33],
  half: [10, 16],
  single: 11,
  double: 12,
  integers: [4, 8]
} as const

interface Rate {
  readonly type: number
  readonly gigahertz: number
  readonly units: number
  readonly operations: number
}

const rates = (list: ReadonlyArray<Rate>): string =>
  list.toSorted((a, b) => a.type - b.type).map(({ gigahertz, operations, type, units }) =>
    `rate_infos { key: ${type} value { clock_rate_ghz: ${gigahertz} units_per_core: ${units} ops_per_clock: ${operations} } }`
  ).join("\n")

const lanesOf = ({ gigahertz, lanes }: Card, { lane }: Units): string => {
  const rate = (type: number, units: number, operations: number): Rate => ({ type, gigahertz, units, operations })
  return rates([
    ...TYPES.integers.map((type) => rate(type, lanes / 2, 1)),
    ...TYPES.half.map((type) => rate(type, lanes, lane)),
    rate(TYPES.single, lanes, 1),
    rate(TYPES.double, lanes / 2, 1)
  ])
}

const productsOf = ({ gigahertz }: Card, { double, gigahertz: clock, half }: Units): string => {
  const rate = (type: number, operations: number, at = clock): Rate => ({
    type,
    gigahertz: at,
    units: UNITS,
    operations
  })
  return rates([
    ...TYPES.eight.map((type) => rate(type, 2 * half)),
    ...TYPES.half.map((type) => rate(type, half)),
    rate(TYPES.single, half / 2),
    rate(TYPES.double, double, gigahertz)
  ])
}

/** Returns the card as the text of XLA's message `GpuTargetConfigProto`. */
export const describe = (card: Card): string => {
  const { capability: [major, minor], name, units } = card
  return `gpu_device_info {
name: ${JSON.stringify(name)}
device_vendor: "NVIDIA Corporation"
cuda_compute_capability { major: ${major} minor: ${minor}${
    card.accelerated ? " feature_extension: ACCELERATED_FEATURES" : ""
  } }
core_count: ${card.cores}
clock_rate_ghz: ${card.gigahertz}
fpus_per_core: ${card.lanes}
threads_per_core_limit: ${card.threads}
shared_memory_per_core: ${card.shared}
shared_memory_per_block_optin: ${card.sharedByBlock}
l2_cache_size: ${card.cache}
device_memory_size: ${card.memory}
memory_bandwidth: ${card.bandwidth}
shared_memory_per_block: 49152
registers_per_core_limit: 65536
registers_per_block_limit: 65536
threads_per_block_limit: 1024
threads_per_warp: 32
thread_dim_limit_x: 1024
thread_dim_limit_y: 1024
thread_dim_limit_z: 64
block_dim_limit_x: 2147483647
block_dim_limit_y: 65535
block_dim_limit_z: 65535
driver_version: "13.0.0"
runtime_version: "13.0.0"
compile_time_toolkit_version: "13.0.0"
dnn_version: "9.10.0"
${
    units === undefined ? "" : `scalar_unit_description {
${lanesOf(card, units)}
}
matrix_unit_description {
${productsOf(card, units)}
}
`
  }}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 10 patch: 0 }
device_description_str: ${JSON.stringify(name)}
`
}
