/** An inspection in words: what a person wants to know of each kind of file. The rest is in `--json`. */
import { Option, Schema } from "effect"
import type * as Model from "../../domain/config/Model.ts"
import * as Origins from "../../domain/config/Origins.ts"
import type { CodebookConfig } from "../../domain/config/TokenizerConfig.ts"
import type { VitConfig } from "../../domain/config/VitConfig.ts"
import * as PaperTables from "../../domain/evaluation/PaperTables.ts"
import * as ComputedOn from "../../domain/values/ComputedOn.ts"
import * as ContinuedFrom from "../../domain/values/ContinuedFrom.ts"
import * as Json from "../../domain/values/Json.ts"
import type * as Results from "../../layers/run/Results.ts"
import type * as Inspect from "../../pipelines/artifacts/Inspect.ts"
import * as Segmenter from "../../pipelines/trained/Segmenter.ts"
import * as Memory from "../../pipelines/training/Memory.ts"
import * as Count from "./Count.ts"
import { columns, plain, type Row, rows } from "./Layout.ts"
import * as ReportTable from "./ReportTable.ts"

type Weights = typeof Inspect.WeightsFile.Type
type Provenance = NonNullable<Weights["provenance"]>
type Found<Tag> = Extract<Inspect.Inspection, { readonly _tag: Tag }>

// Under the names of safetensors and of PyTorch.
const DTYPES: Readonly<Record<string, string>> = { F64: "float64", F32: "float32", F16: "float16", BF16: "bfloat16" }

const short = (value: unknown): string =>
  typeof value === "number" ? String(Number(value.toPrecision(4))) : JSON.stringify(value)

const place = ({ bytes, path }: { readonly bytes: number; readonly path: string }): string =>
  `${path}, ${Memory.show(bytes)}`

const vit = ({ depth, heads, imageSize, patchSize, width }: VitConfig): string =>
  `ViT of ${imageSize} px, patch ${patchSize}, width ${width}, depth ${depth}, ${heads} heads`

const FEW = 8

const listed = (names: ReadonlyArray<string>): string =>
  `${names.length}: ${names.slice(0, FEW).join(", ")}${names.length > FEW ? ", …" : ""}`

const quantizer = ({ decay, dim, kmeans, quantizer, revival }: CodebookConfig): string => {
  switch (quantizer?.kind) {
    case undefined:
    case "movingAverage":
      return [
        `moving average, ${dim} channels, decay ${decay}`,
        `begins with ${kmeans ? "k-means" : "random directions"}`,
        revival === null ? "no revival" : `revival below ${revival.threshold}`
      ].join(", ")
    case "gradient":
      return quantizer.l2Normalize === false
        ? `plain VQ, ${dim} channels, commitment ${quantizer.commitment}, without l2 normalisation`
        : `learned by gradient, ${dim} channels, commitment ${quantizer.commitment}, ` +
          `begins with ${kmeans ? "k-means" : "random directions"}`
    case "finiteScalar":
      return `finite scalars, levels ${quantizer.levels.join(" x ")}`
    case "own":
      return `"${quantizer.name}", given in code, ${dim} channels`
  }
}

const networkOf = (model: Model.Model): ReadonlyArray<Row> => {
  switch (model._tag) {
    case "Tokenizer": {
      const { codebook, encoder } = model.config
      return [["network", vit(encoder)], ["codes", String(codebook.size)], ["quantizer", quantizer(codebook)]]
    }
    case "Backbone":
      return [["network", vit(model.config.vit)], ["codes", `${model.codes} to predict`]]
    case "Classifier":
      return [["network", vit(model.config.vit)], ["classes", listed(model.classes)]]
  }
}

const segmenterOf = Schema.decodeUnknownOption(Segmenter.Described)

/** Describes the network of a custom stage, if it is known: a segmenter. */
const customOf = ({ config, name }: NonNullable<Provenance["custom"]>): ReadonlyArray<Row> => {
  const found = name === Segmenter.NAME ? Option.getOrUndefined(segmenterOf(config)) : undefined
  if (found === undefined) return []
  const { config: { head, stride, taps, vit: own }, classes } = found
  const blocks = head === "linear" ? `block ${taps.at(-1)}` : `blocks ${taps.join(", ")}`
  return [
    ["network", vit(own)],
    ["head", `${head}, on ${blocks}`],
    ["windows", `${own.imageSize} px, ${stride} px apart`],
    ["pixel classes", listed(classes)]
  ]
}

const weights = (found: Weights): ReadonlyArray<Row> => {
  const { dtypes, parameters, provenance, tensors } = found
  const { computedOn, continuedFrom, custom, holdout, model, seed, stage, step, teacher, version } = provenance ?? {}
  return [
    ["is", model?._tag.toLowerCase() ?? custom?.name ?? found.looksLike ?? "weights of no known network"],
    ["file", place(found)],
    ...(model === undefined ? [] : networkOf(model)),
    ...(custom === undefined ? [] : customOf(custom)),
    [
      "parameters",
      `${Count.show(parameters)} in ${tensors} tensors, ${
        Object.keys(dtypes).map((name) => DTYPES[name] ?? name).join(", ")
      }`
    ],
    ["trained by", stage && `${stage}, ${step} steps, seed ${seed}, patchword ${version}`],
    ["held out", holdout && `${holdout.share} of each class, holdout seed ${holdout.seed}`],
    ["teacher", teacher],
    ["continued from", continuedFrom && ContinuedFrom.show(continuedFrom)],
    ["computed on", computedOn && ComputedOn.showHistory(computedOn)],
    ["problem", found.problem]
  ]
}

const used = (uses: ReadonlyArray<string>): ReadonlyArray<Row> =>
  uses.map((use, i) => [i === 0 ? "use it for" : "", use])

const LONG = 60

const metadata = (all: Readonly<Record<string, string>>): ReadonlyArray<Row> => {
  const entries = Object.entries(all)
  const long = entries.filter(([, value]) => value.length > LONG).map(([key]) => key)
  return [
    ["metadata", entries.filter(([key]) => !long.includes(key)).map(([key, value]) => `${key} ${value}`).join(", ")],
    ["", long.length === 0 ? undefined : `${long.join(" and ")} with --json`]
  ]
}

const ports = (all: Found<"Onnx">["inputs"]): string =>
  all.map(({ name, shape }) => `${name} [${shape.join(", ")}]`).join("; ")

type Result = typeof Results.Result.Type

const DIGITS = 8

/** All that figures depend on, by short names. */
const conditions = ({ computedOn, digests, images, patchword, settings }: Result): ReadonlyMap<string, string> => {
  const { config, tried: _, ...how } = Json.isObject(settings) ? settings : {}
  const { images: tested, train, weights } = digests
  const facts = {
    ...(Json.isObject(config) ? config : {}),
    ...how,
    images,
    weights: weights.slice(0, DIGITS),
    "training images": train.slice(0, DIGITS),
    "tested images": tested.slice(0, DIGITS),
    engine: ComputedOn.show(computedOn),
    patchword
  }
  return new Map(Origins.leaves(facts).map(([name, value]) => [name, typeof value === "string" ? value : short(value)]))
}

/** What tells a result from others of the same evaluation, network and split; nothing where there are no others. */
const differing = (one: Result, all: ReadonlyArray<Result>): string => {
  const others = all.filter(({ network, split, verb }) =>
    network === one.network && split === one.split && verb === one.verb
  ).map(conditions)
  return [...conditions(one)]
    .filter(([name, value]) => others.some((other) => other.get(name) !== value))
    .map(([name, value]) => `${name} ${value}`).join(", ")
}

const results = (all: ReadonlyArray<Result>): ReadonlyArray<string> => {
  if (all.length === 0) return []
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  const known = all.some(({ paper }) => paper !== undefined)
  const told = all.map((one) => differing(one, all))
  return [
    "",
    ...columns([
      [
        "evaluation",
        "network",
        "split",
        "images",
        "top-1",
        "95 % interval",
        "largest class",
        ...(known ? [`${PaperTables.TITLE}, %`] : []),
        ...(told.some((text) => text !== "") ? ["with"] : [])
      ],
      ...all.map(({ images, interval: [low, high], largestClass, network, paper, split, top1, verb }, i) => [
        verb,
        network,
        split,
        String(images),
        percent(top1),
        `${percent(low)} to ${percent(high)}`,
        percent(largestClass),
        ...(known ? [PaperTables.show(paper)] : []),
        told[i]!
      ])
    ])
  ]
}

const measures = (measured: object): string =>
  Object.entries(measured).map(([name, value]) => `${name} ${short(value)}`).join(", ")

const run = (found: Found<"Run">): ReadonlyArray<string> => [
  ...rows([
    ["is", "a run of patchword"],
    ["folder", found.path],
    ["computed on", found.computedOn.map(ComputedOn.show).join(", then ")]
  ]),
  ...found.stages.flatMap(({ continuedFrom, lastBatch, lastEvaluation, stage, weights: left }) => {
    const { stage: _, step, ...measured } = lastBatch ?? {}
    const { stage: __, step: evaluated, ...found } = lastEvaluation ?? {}
    const shown = left === undefined
      ? [
        ["continued from", continuedFrom && ContinuedFrom.show(continuedFrom)],
        ...used(["run it again to go on"])
      ] as const
      : [...weights(left), ...used(left.uses)]
    return [
      "",
      stage,
      ...rows([
        ["step", step === undefined ? undefined : `${step}${left === undefined ? ", not finished" : ", finished"}`],
        ["last batch", measures(measured)],
        ["evaluation", evaluated === undefined ? undefined : `${measures(found)}, after step ${evaluated}`],
        ...shown
      ])
    ]
  }),
  ...results(found.results)
]

const linesOf = (found: Inspect.Inspection): ReadonlyArray<string> => {
  switch (found._tag) {
    case "Weights":
      return rows([...weights(found), ...used(found.uses)])
    case "Run":
      return run(found)
    case "HubFolder": {
      const made = found.provenance === undefined ? {} : { provenance: found.provenance }
      const [, ...file] = weights({ ...found.weights, ...made })
      return rows([
        ["is", `${found.model._tag.toLowerCase()}, a folder of the Hugging Face Hub`],
        ["folder", found.path],
        ...(made.provenance?.model === undefined ? networkOf(found.model) : []),
        ...file,
        ...used(found.uses)
      ])
    }
    case "Onnx":
      return rows([
        ["is", `an ONNX model${found.producer === "" ? "" : ` by ${found.producer}`}`],
        ["file", place(found)],
        ["inputs", ports(found.inputs)],
        ["outputs", ports(found.outputs)],
        ["parameters", `${Count.show(found.parameters)}, and ${found.operators} operators`],
        ...metadata(found.metadata),
        ...used(found.uses)
      ])
    case "Codes":
    case "Features":
      return rows([
        ["is", `${found._tag.toLowerCase()} of images`],
        ["file", place(found)],
        [
          "images",
          found._tag === "Codes"
            ? `${found.images}, of ${found.patches} codes each`
            : `${found.images}, of ${found.shape.join(" x ")} numbers each`
        ],
        ["classes", found.classes && listed(found.classes)],
        ["holds", found.uses.join("; ")]
      ])
    case "Checkpoint":
      return rows([
        ["is", `a checkpoint of ${found.stage} after ${found.step} steps`],
        ["folder", found.path],
        ["trained by", `patchword ${found.version}`],
        ["computed on", found.computedOn && ComputedOn.showHistory(found.computedOn)],
        ...used(found.uses)
      ])
    case "FeatureCache":
      return rows([
        ["is", `a cache of features of the teacher ${found.teacher}`],
        ["folder", found.path],
        ["images", `${found.images} of ${found.image.join(" x ")} px, in ${found.shards} shards`],
        ["features", `${found.tokens} patches of ${found.width} numbers each, ${found.dtype}`],
        ...used(found.uses)
      ])
    case "Result": {
      const { result } = found
      const [, ...table] = results([result])
      return [
        ...rows([
          ["is", `the figures of ${result.verb} on ${result.split}`],
          ["file", found.path],
          ...[...conditions(result)].map(([name, value]) => [name, value] as const)
        ]),
        "",
        ...table
      ]
    }
    case "Log":
      return [
        ...rows([["is", "a log of a run"], ["file", found.path]]),
        ...found.stages.flatMap(({ last: { stage, step, ...measured }, rows: count }) => [
          "",
          stage,
          ...rows([["rows", String(count)], ["last step", String(step)], ["its values", measures(measured)]])
        ])
      ]
    case "Report":
      return [...rows([["is", "the report of a demo"], ["file", found.path]]), ReportTable.render(found.report)]
    case "Checkpoints":
      return rows([
        ["is", "checkpoints of a run"],
        ["folder", found.path],
        ...found.stages.map(({ stage, steps }) => [stage, `after ${steps.join(" and ")} steps`] as const),
        ...used(found.uses)
      ])
    case "Atlas": {
      const { computedOn, figures, lists, map, split } = found.index
      const { codes, images, mutualInformation: told, patches, perplexity, used: occurring } = figures
      return rows([
        ["is", "an atlas of codes"],
        ["folder", found.path],
        ["images", `${images} of split ${split}, ${patches} patches`],
        ["codes", `${occurring} of ${codes} occur, perplexity ${short(perplexity)}`],
        [
          "classes",
          told === null
            ? undefined
            : `${short(told.bits)} of ${short(told.classEntropy)} bits told by the code of a patch`
        ],
        ["lists", measures(lists)],
        ["map", map ?? "none"],
        ...found.problems.map((problem) => ["careful", problem] as const),
        ["computed on", ComputedOn.showHistory(computedOn).replaceAll(" from step ", " from image ")],
        ...used(found.uses)
      ])
    }
    case "RunFile":
      return rows([
        ["is", found.holds],
        ["file", found.path],
        ...Origins.leaves(found.content).map(([name, value]) =>
          [name, typeof value === "string" ? value : short(value)] as const
        )
      ])
    case "Config":
      return rows([
        ["is", `a configuration of ${found.stages.join(", ")}`],
        ["file", found.path],
        ...used(found.uses)
      ])
  }
}

/** The lines of an inspection. Names of stages stand in lines of their own, and may have any characters. */
export const lines = (found: Inspect.Inspection): ReadonlyArray<string> => linesOf(found).map(plain)
