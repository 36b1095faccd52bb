/**
 * The functions of PJRT that the engine calls: the place of each in the plugin's table, and the members of the struct that it
 * takes. They are those of version 0.81. Newer versions only append places and members.
 */
export const FUNCTIONS = {
  PJRT_Error_Destroy: { place: 0, fields: ["error"] },
  PJRT_Error_Message: { place: 1, fields: ["error", "message", "length"] },
  PJRT_Error_GetCode: { place: 2, fields: ["error", "code"] },
  PJRT_Plugin_Initialize: { place: 3, fields: [] },
  PJRT_Event_Destroy: { place: 5, fields: ["event"] },
  PJRT_Event_Await: { place: 8, fields: ["event"] },
  PJRT_Client_Create: {
    place: 10,
    fields: ["options", "optionCount", "kvGet", "kvGetArg", "kvPut", "kvPutArg", "client", "kvTryGet", "kvTryGetArg"]
  },
  PJRT_Client_Destroy: { place: 11, fields: ["client"] },
  PJRT_Client_PlatformName: { place: 12, fields: ["client", "name", "length"] },
  PJRT_Client_PlatformVersion: { place: 14, fields: ["client", "version", "length"] },
  PJRT_Client_Devices: { place: 15, fields: ["client", "devices", "count"] },
  PJRT_Client_AddressableDevices: { place: 16, fields: ["client", "devices", "count"] },
  PJRT_Client_Compile: { place: 20, fields: ["client", "program", "options", "optionsLength", "executable"] },
  PJRT_Client_BufferFromHostBuffer: {
    place: 22,
    fields: [
      "client",
      "data",
      "type",
      "dims",
      "rank",
      "strides",
      "strideCount",
      "semantics",
      "device",
      "memory",
      "layout",
      "sent",
      "buffer"
    ]
  },
  PJRT_DeviceDescription_Id: { place: 23, fields: ["description", "id"] },
  PJRT_DeviceDescription_ProcessIndex: { place: 24, fields: ["description", "process"] },
  PJRT_DeviceDescription_Kind: { place: 26, fields: ["description", "kind", "length"] },
  PJRT_Device_GetDescription: { place: 29, fields: ["device", "description"] },
  PJRT_Device_MemoryStats: {
    place: 34,
    fields: [
      "device",
      "inUse",
      "peak",
      "hasPeak",
      "allocations",
      "hasAllocations",
      "largest",
      "hasLargest",
      "limit",
      "hasLimit",
      "reserved",
      "hasReserved",
      "peakReserved",
      "hasPeakReserved",
      "reservable",
      "hasReservable",
      "largestFree",
      "hasLargestFree",
      "pool",
      "hasPool",
      "peakPool",
      "hasPeakPool"
    ]
  },
  PJRT_Executable_Destroy: { place: 40, fields: ["executable"] },
  PJRT_Executable_NumOutputs: { place: 44, fields: ["executable", "count"] },
  PJRT_Executable_OptimizedProgram: { place: 48, fields: ["executable", "program"] },
  PJRT_Executable_Serialize: { place: 49, fields: ["executable", "bytes", "length", "serialized", "destroy"] },
  PJRT_LoadedExecutable_Destroy: { place: 50, fields: ["executable"] },
  PJRT_LoadedExecutable_GetExecutable: { place: 51, fields: ["loaded", "executable"] },
  PJRT_LoadedExecutable_Execute: {
    place: 55,
    fields: [
      "executable",
      "options",
      "argumentLists",
      "deviceCount",
      "argumentCount",
      "resultLists",
      "completed",
      "device"
    ]
  },
  PJRT_Executable_DeserializeAndLoad: {
    place: 56,
    fields: ["client", "bytes", "length", "executable", "options", "optionsLength"]
  },
  PJRT_Buffer_Destroy: { place: 58, fields: ["buffer"] },
  PJRT_Buffer_OnDeviceSizeInBytes: { place: 64, fields: ["buffer", "bytes"] },
  PJRT_Buffer_IsDeleted: { place: 68, fields: ["buffer", "isDeleted"] },
  PJRT_Buffer_ToHostBuffer: { place: 70, fields: ["buffer", "layout", "data", "length", "received"] },
  PJRT_TopologyDescription_Create: {
    place: 82,
    fields: ["name", "nameLength", "options", "optionCount", "topology"]
  },
  PJRT_TopologyDescription_Destroy: { place: 83, fields: ["topology"] },
  PJRT_Compile: {
    place: 89,
    fields: ["topology", "program", "options", "optionsLength", "client", "executable"]
  },
  PJRT_Executable_OutputElementTypes: { place: 90, fields: ["executable", "types", "count"] },
  PJRT_Executable_OutputDimensions: { place: 91, fields: ["executable", "count", "dims", "ranks"] },
  PJRT_Executable_GetCompiledMemoryStats: {
    place: 96,
    fields: [
      "executable",
      "code",
      "arguments",
      "results",
      "donated",
      "temporary",
      "hostCode",
      "hostArguments",
      "hostResults",
      "hostDonated",
      "hostTemporary",
      "peak"
    ]
  }
} as const

export type Name = keyof typeof FUNCTIONS

/** The members of a function's struct. */
export type Field<N extends Name> = (typeof FUNCTIONS)[N]["fields"][number]

/** Functions that a plugin may lack. The engine then does without. */
export const OPTIONAL: ReadonlySet<Name> = new Set([
  "PJRT_Device_MemoryStats",
  "PJRT_Executable_OptimizedProgram",
  "PJRT_Executable_Serialize",
  "PJRT_Executable_DeserializeAndLoad",
  "PJRT_Executable_GetCompiledMemoryStats",
  "PJRT_TopologyDescription_Create",
  "PJRT_TopologyDescription_Destroy",
  "PJRT_Compile"
])
