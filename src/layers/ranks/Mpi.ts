/**
 * The C interface of MPI, called through koffi. Libraries differ in the numbers of their handles. There are three kinds: the
 * standard binary interface of MPI 5 (`mpi_abi.h`), MPICH's own, and that of Open MPI, whose handles are addresses. Every function
 * throws the library's error message.
 */
import { createRequire } from "node:module"

type Koffi = typeof import("koffi").default
type Library = ReturnType<Koffi["load"]>

const require = createRequire(import.meta.url)
let loaded: Koffi | undefined

// Who has one rank does not load it.
const koffi = (): Koffi => loaded ??= require("koffi") as Koffi

/** A handle of the library: a number, or an address. */
export type Handle = number | bigint

/** A kind of library. */
export type Kind = "standard" | "mpich" | "openmpi"

/** An operation that goes on in the background. Its array is kept until it has ended. */
export interface Pending {
  readonly request: [Handle]
  readonly memory: ArrayBufferView | undefined
}

/** A library of MPI. */
export interface Mpi {
  readonly kind: Kind
  /** The name and version of the library, as it says them. */
  readonly version: string
  /** The communicator of all ranks. */
  readonly world: Handle
  /** Begins. All ranks do so once. Any thread may call the library afterwards. */
  readonly init: () => void
  readonly rank: (group: Handle) => number
  readonly size: (group: Handle) => number
  /** Makes another communicator of the same ranks, whose messages do not mix with those of others. All ranks call it. */
  readonly duplicate: (group: Handle) => Handle
  /** Sums an array over all ranks, in place. It blocks. */
  readonly sum: (values: Float32Array, group: Handle) => void
  /** Sends an equal part of an array to each rank, and receives one from each. It blocks. */
  readonly exchange: (sent: Uint16Array, received: Uint16Array, group: Handle) => void
  /** Begins such a sum. */
  readonly beginSum: (values: Float32Array, group: Handle) => Pending
  /** Begins to send the bytes of rank 0 to all. */
  readonly beginBroadcast: (bytes: Uint8Array, group: Handle) => Pending
  /** Begins to wait for all. */
  readonly beginBarrier: (group: Handle) => Pending
  /** Begins to send the bytes of an array. A rank may send to itself. Messages with another `tag` (0 by default) are others. */
  readonly beginSend: (values: ArrayBufferView, to: number, group: Handle, tag?: number) => Pending
  readonly beginReceive: (values: ArrayBufferView, from: number, group: Handle) => Pending
  /** Returns the bytes of the next message from a rank, or undefined if none has come. Of all threads, one alone calls it for a group and a tag. */
  readonly receive: (from: number, group: Handle, tag: number) => Uint8Array | undefined
  /** Tests whether an operation has ended. */
  readonly isDone: (pending: Pending) => boolean
  /** Ends. All ranks do so, and no operation may go on. */
  readonly finalize: () => void
}

/** The constants of a kind of library. */
interface Constants {
  /** The C type of a handle. */
  readonly handle: "int" | "intptr_t"
  readonly world: Handle
  readonly float: Handle
  readonly byte: Handle
  readonly sum: Handle
  readonly returning: Handle
  readonly inPlace: number
  readonly ignored: number
  readonly multiple: number
}

const STANDARD: Constants = {
  handle: "intptr_t",
  world: 0x101,
  float: 0x210,
  byte: 0x247,
  sum: 0x21,
  returning: 0x143,
  inPlace: 1,
  ignored: 0,
  multiple: 4096
}

const MPICH: Constants = {
  handle: "int",
  world: 0x44000000,
  float: 0x4c00040a,
  byte: 0x4c00010d,
  sum: 0x58000003,
  returning: 0x54000001,
  inPlace: -1,
  ignored: 1,
  multiple: 3
}

const openMpi = (library: Library): Constants => {
  const address = (name: string) => koffi().address(library.symbol(name, "void *"))
  return {
    handle: "intptr_t",
    world: address("ompi_mpi_comm_world"),
    float: address("ompi_mpi_float"),
    byte: address("ompi_mpi_byte"),
    sum: address("ompi_mpi_op_sum"),
    returning: address("ompi_mpi_errors_return"),
    inPlace: 1,
    ignored: 0,
    multiple: 3
  }
}

const LONGEST_VERSION = 8192
const LONGEST_ERROR = 512

/** More bytes than the status of any library has. */
const STATUS = 128

/** A count is a C integer, so larger arrays go in parts. */
const PART = 2 ** 28

const TAG = 0

/** Tells the kind. A library with the standard interface has a name of its own, and MPICH comes with one of each kind. */
const kindOf = (file: string, version: string): Kind =>
  /libmpi_abi[^/]*$/.test(file) ? "standard" : version.startsWith("Open MPI") ? "openmpi" : "mpich"

/**
 * Settings of MPICH that fix the order in which sums are added, so that they have the same bytes from run to run. Those of UCX keep it from
 * taking over signals and calls for memory: V8 needs them for WebAssembly, and the process would crash.
 */
const FIXED: Readonly<Record<string, string>> = {
  MPIR_CVAR_ALLREDUCE_INTRA_ALGORITHM: "reduce_scatter_allgather",
  MPIR_CVAR_IALLREDUCE_INTRA_ALGORITHM: "sched_reduce_scatter_allgather",
  MPIR_CVAR_DEVICE_COLLECTIVES: "none",
  UCX_ERROR_SIGNALS: "",
  UCX_MEM_EVENTS: "n"
}

/** Loads a library from a file, or by its name in the system's search. */
export const load = (file: string): Mpi => {
  // UCX reads its variables as soon as it is loaded.
  for (const [name, value] of Object.entries(FIXED)) setVariable(name, value)
  // Open MPI's own parts look for its symbols among those of all libraries.
  const library = koffi().load(file, { global: true })
  const text = Buffer.alloc(LONGEST_VERSION)
  const length: [number] = [0]
  library.func("int MPI_Get_library_version(void *text, _Out_ int *length)")(text, length)
  const [line = ""] = text.toString("utf8", 0, length[0]).replaceAll("\0", "").split(/[\n,]/)
  const version = line.replace(/ Version:\s*/, " ").trim()
  const kind = kindOf(file, version)
  const { byte, float, handle, ignored, inPlace, multiple, returning, sum, world } = kind === "openmpi"
    ? openMpi(library)
    : kind === "mpich"
    ? MPICH
    : STANDARD

  const describe = library.func("int MPI_Error_string(int code, void *text, _Out_ int *length)")
  const act = (definition: string) => {
    const call = library.func(`int ${definition.replaceAll(/\bhandle\b/g, handle)}`)
    return (...given: ReadonlyArray<unknown>): void => {
      const status: number = call(...given)
      if (status === 0) return
      const said = Buffer.alloc(LONGEST_ERROR)
      const size: [number] = [0]
      describe(status, said, size)
      throw new Error(`MPI reports: ${said.toString("utf8", 0, size[0])}`)
    }
  }
  const number = (definition: string) => {
    const call = act(definition)
    return (group: Handle): number => {
      const found: [number] = [0]
      call(group, found)
      return found[0]
    }
  }

  const sizeOf = number("MPI_Comm_size(handle group, _Out_ int *size)")
  const init = act("MPI_Init_thread(void *argc, void *argv, int required, _Out_ int *provided)")
  const copy = act("MPI_Comm_dup(handle group, _Out_ handle *copy)")
  const setErrors = act("MPI_Comm_set_errhandler(handle group, handle handler)")
  const allReduce = act(
    "MPI_Allreduce(intptr_t from, void *to, int count, handle type, handle operation, handle group)"
  )
  const beginAllReduce = act(
    "MPI_Iallreduce(intptr_t from, void *to, int count, handle type, handle operation, handle group, _Out_ handle *request)"
  )
  const allToAll = act(
    "MPI_Alltoall(void *sent, int count, handle type, void *received, int parts, handle kind, handle group)"
  )
  const broadcast = act(
    "MPI_Ibcast(void *bytes, int count, handle type, int from, handle group, _Out_ handle *request)"
  )
  const barrier = act("MPI_Ibarrier(handle group, _Out_ handle *request)")
  const send = act(
    "MPI_Isend(void *values, int count, handle type, int to, int tag, handle group, _Out_ handle *request)"
  )
  const receive = act(
    "MPI_Irecv(void *values, int count, handle type, int from, int tag, handle group, _Out_ handle *request)"
  )
  const probe = act("MPI_Iprobe(int from, int tag, handle group, _Out_ int *found, void *status)")
  const count = act("MPI_Get_count(void *status, handle type, _Out_ int *count)")
  const take = act(
    "MPI_Recv(void *values, int count, handle type, int from, int tag, handle group, intptr_t status)"
  )
  const test = act("MPI_Test(_Inout_ handle *request, _Out_ int *done, intptr_t status)")

  const begin = (memory: ArrayBufferView | undefined, start: (request: [Handle]) => void): Pending => {
    const request: [Handle] = [0]
    start(request)
    return { request, memory }
  }

  return {
    kind,
    version,
    world,
    init: () => {
      const provided: [number] = [0]
      init(null, null, multiple, provided)
      if (provided[0] < multiple) throw new Error(`${version} was built without threads (MPI_THREAD_MULTIPLE)`)
      setErrors(world, returning)
    },
    rank: number("MPI_Comm_rank(handle group, _Out_ int *rank)"),
    size: sizeOf,
    duplicate: (group) => {
      const found: [Handle] = [0]
      copy(group, found)
      return found[0]
    },
    sum: (values, group) => {
      for (let at = 0; at < values.length; at += PART) {
        const part = values.subarray(at, at + PART)
        allReduce(inPlace, part, part.length, float, sum, group)
      }
    },
    exchange: (sent, received, group) => {
      const bytes = sent.byteLength / sizeOf(group)
      allToAll(sent, bytes, byte, received, bytes, byte, group)
    },
    beginSum: (values, group) =>
      begin(values, (request) => beginAllReduce(inPlace, values, values.length, float, sum, group, request)),
    beginBroadcast: (bytes, group) =>
      begin(bytes, (request) => broadcast(bytes, bytes.length, byte, 0, group, request)),
    beginBarrier: (group) => begin(undefined, (request) => barrier(group, request)),
    beginSend: (values, to, group, tag = TAG) =>
      begin(values, (request) => send(values, values.byteLength, byte, to, tag, group, request)),
    beginReceive: (values, from, group) =>
      begin(values, (request) => receive(values, values.byteLength, byte, from, TAG, group, request)),
    receive: (from, group, tag) => {
      const [found, length, status]: [[number], [number], Buffer] = [[0], [0], Buffer.alloc(STATUS)]
      probe(from, tag, group, found, status)
      if (found[0] === 0) return undefined
      count(status, byte, length)
      const bytes = new Uint8Array(length[0])
      take(bytes, bytes.length, byte, from, tag, group, ignored)
      return bytes
    },
    isDone: ({ request }) => {
      const done: [number] = [0]
      test(request, done, ignored)
      return done[0] !== 0
    },
    finalize: act("MPI_Finalize()")
  }
}

const own = (definition: string) => koffi().load(null).func(definition)

/** Sets a variable of the environment for libraries, unless the user has. A thread of Node.js sees a copy of it. */
const setVariable = (name: string, value: string): void =>
  void own("int setenv(str name, str value, int overwrite)")(name, value, 0)

/** Ends the process at once. `process.exit` waits for threads, and one that waits for another rank may never end. */
export const exit = (code: number): void => void own("void _exit(int code)")(code)
