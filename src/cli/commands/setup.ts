/** `patchword setup`: installs the libraries of engines that the package does not bring. */
import { Console, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import * as MpiSetup from "../../layers/setup/MpiSetup.ts"
import * as OpenVinoSetup from "../../layers/setup/OpenVinoSetup.ts"
import * as TensorFlowSetup from "../../layers/setup/TensorFlowSetup.ts"
import * as XlaSetup from "../../layers/setup/XlaSetup.ts"
import * as Described from "../flags/Described.ts"
import * as Flags from "../flags/Flags.ts"
import * as Failure from "../terminal/Failure.ts"

interface Installed {
  readonly library: string
  readonly version: string
  readonly folder: string
  readonly fetched: boolean
}

const report = (line: string) => Console.error(`- ${line}`)

const said = (json: boolean, { fetched, folder, library, version }: Installed) =>
  Console.log(
    json
      ? JSON.stringify({ library, version, folder, fetched })
      : `${library} ${version}: ${fetched ? "installed" : "already"} in ${folder}`
  )

const openvino = Command.make(
  "openvino",
  { json: Flags.json },
  ({ json }) => OpenVinoSetup.install(report).pipe(Effect.flatMap((found) => said(json, found)), Failure.mapErrors)
).pipe(
  Command.withDescription("fetch OpenVINO from PyPI (up to 85 MB) into your folder of caches, with pip"),
  Command.withExamples([{ command: "patchword setup openvino" }])
)

const mpi = Command.make(
  "mpi",
  { json: Flags.json },
  ({ json }) => MpiSetup.install(report).pipe(Effect.flatMap((found) => said(json, found)), Failure.mapErrors)
).pipe(
  Command.withDescription(
    "fetch MPI (MPICH) from PyPI (13 MB) into your folder of caches, with pip: for several ranks"
  ),
  Command.withExamples([{ command: "patchword setup mpi" }])
)

const xla = Command.make(
  "xla",
  {
    platform: Flag.Literals("platform", ["cpu", "cuda"]).pipe(Described.withDefault("the kind of devices", "cpu")),
    part: Flag.Literals("part", ["plugin", "compiler", "all"]).pipe(
      Described.optional(
        "for cuda: the plugin alone, with it what compiles for a GPU that is not here, or all of CUDA that is missing here",
        "all where nvidia-smi finds a GPU, else plugin"
      )
    ),
    json: Flags.json
  },
  ({ json, part, platform }) =>
    XlaSetup.install({ platform, ...(part._tag === "Some" ? { part: part.value } : {}) }, report).pipe(
      Effect.flatMap((found) => said(json, found)),
      Failure.mapErrors
    )
).pipe(
  Command.withDescription("fetch XLA for one platform from PyPI (63 or 135 MB) into your folder of caches, with pip"),
  Command.withExamples([
    { command: "patchword setup xla --platform cpu" },
    { command: "patchword setup xla --platform cuda --part compiler" }
  ])
)

const tensorflow = Command.make("tensorflow", {
  package: Flag.Literals("package", ["tfjs-node-gpu", "tfjs-node"]).pipe(
    Described.withDefault("the npm package", "tfjs-node-gpu")
  ),
  from: Flag.Literals("from", ["own", "pypi"]).pipe(
    Described.optional("the source of its library: the package's own host, or PyPI", "the first that can be reached")
  ),
  library: Flag.Literals("library", ["cpu", "cuda"]).pipe(
    Described.optional("the kind of PyPI's library", "cuda where nvidia-smi finds a GPU, else cpu")
  ),
  cuda: Flag.String("cuda").pipe(
    Described.optional(
      "the folders with CUDA 12 or 13 to link to, joined by \":\"; or pypi, which fetches NVIDIA's wheels (2.8 GB)",
      "the usual folders if CUDA is there, else pypi"
    )
  ),
  withoutDriver: Described.flag("without-driver", "install the library cuda also where there is no driver"),
  json: Flags.json
}, ({ cuda, from, json, library, package: name, withoutDriver }) =>
  TensorFlowSetup.install({
    package: name,
    withoutDriver,
    ...(cuda._tag === "Some" ? { cuda: cuda.value === "pypi" ? "pypi" : cuda.value.split(":") } : {}),
    ...(from._tag === "Some" ? { from: from.value } : {}),
    ...(library._tag === "Some" ? { library: library.value } : {})
  }, report).pipe(Effect.flatMap((found) => said(json, found)), Failure.mapErrors)).pipe(
    Command.withDescription("install TensorFlow beside patchword; npm install and npm ci take it out again"),
    Command.withExamples([
      { command: "patchword setup tensorflow --from pypi" },
      { command: "patchword setup tensorflow --library cuda" }
    ])
  )

/** The command. */
export const setup = Command.make("setup").pipe(
  Command.withDescription("install the library of an engine that the package does not bring"),
  Command.withSubcommands([mpi, openvino, tensorflow, xla]),
  Command.withExamples([{ command: "patchword setup openvino" }])
)
