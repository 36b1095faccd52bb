/** The content of the page in addition to the report: curves and pictures, too large or too raw for `report.json`. */
import type { Picture } from "../../domain/pixels/Picture.ts"
import type { Grid } from "../../domain/values/Grid.ts"
import type { Json } from "../../domain/values/Json.ts"
import type { Result } from "../../layers/run/Results.ts"
import type { Html } from "./Html.ts"

/**
 * One measured series. Curves of the same stage and metric share a chart, and `run` distinguishes them. `baseline` marks the
 * curve to compare with. `steps` ascend. `values` has as many entries.
 */
export interface Curve {
  readonly stage: string
  readonly metric: string
  readonly run?: string
  readonly baseline?: boolean
  readonly steps: ArrayLike<number>
  readonly values: ArrayLike<number>
}

/** A code with real patches that the tokenizer gave it, all of one size. */
export interface CodeRow {
  readonly code: number
  /** Number of encoded patches with the code, and their share of all. */
  readonly count: number
  readonly share: number
  readonly patches: ReadonlyArray<Picture>
  /** Patches framed in their pictures: those that match the code most, and those that match it least. Absent if that is unknown. */
  readonly matching?: ReadonlyArray<Picture>
  readonly mismatching?: ReadonlyArray<Picture>
}

/** An image and the codes of its patches, row-major on `grid`. */
export interface CodedImage {
  readonly name: string
  readonly picture: Picture
  readonly grid: Grid
  readonly codes: ArrayLike<number>
  /** Mean cosine similarity of its reconstructed and the teacher's features. */
  readonly cosine: number
}

/** A masked image, and the network's predictions. All arrays are row-major on `grid`. */
export interface MaskedImage {
  readonly name: string
  readonly picture: Picture
  readonly grid: Grid
  /** Not 0 for masked patches. */
  readonly mask: ArrayLike<number>
  readonly truth: ArrayLike<number>
  /** The most probable code. It is read for masked patches only. Absent if nobody has predicted yet. */
  readonly predicted?: ArrayLike<number>
}

/** A work whose pictures the page shows. */
export interface Credit {
  readonly name: string
  readonly author: string
  readonly licence: string
  /** Linked if it is an `https` address. */
  readonly url: string
}

/** The content of the page in addition to the report. An empty list leaves its section out. */
export interface PageData {
  /** The subject of the images: "emoji" or "images". */
  readonly subject: string
  /** Losses and accuracies of the stages. */
  readonly curves: ReadonlyArray<Curve>
  /** The use of the codebook during training. */
  readonly codebook: ReadonlyArray<Curve>
  /** The most used codes with something to show, most used first. */
  readonly codes: ReadonlyArray<CodeRow>
  /** Codes of the same frequency with patches of one colour. They get a sentence. */
  readonly plain: ReadonlyArray<CodeRow>
  /** The mean patch of each code that was seen. It gives the code its colour. May be empty. */
  readonly means: ReadonlyMap<number, Picture>
  readonly coded: ReadonlyArray<CodedImage>
  readonly masked: ReadonlyArray<MaskedImage>
  /** The section of completed images, if the run has a pixel decoder. */
  readonly completion?: Html
  /** Images by true class (row) and predicted class (column), in the order of the report's classes. */
  readonly confusion?: {
    readonly evaluation: string
    readonly counts: ReadonlyArray<ReadonlyArray<number>>
  }
  /** All results in the run folder. */
  readonly results?: ReadonlyArray<Result>
  readonly credits: ReadonlyArray<Credit>
  /** Names and values: versions, machine, digests, dates. */
  readonly provenance: ReadonlyArray<readonly [name: string, value: string]>
  readonly config: Json
}
