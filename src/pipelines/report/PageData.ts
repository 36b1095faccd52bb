/** What the page of a run shows beside its report: curves and pictures, too large or too raw for `report.json`. */
import type { Picture } from "../../domain/pixels/Picture.ts"
import type { Grid } from "../../domain/values/Grid.ts"
import type { Json } from "../../domain/values/Json.ts"
import type { Result } from "../../layers/run/Results.ts"

/**
 * One measured series. Curves of the same stage and metric share a chart; `run` then tells them apart, and `baseline` marks
 * the one to compare with. `steps` ascend; `values` has as many entries.
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
  /** How many of the encoded patches have the code, and their share of all. */
  readonly count: number
  readonly share: number
  readonly patches: ReadonlyArray<Picture>
}

/** An image and the codes of its patches, row-major on `grid`. */
export interface CodedImage {
  readonly name: string
  readonly picture: Picture
  readonly grid: Grid
  readonly codes: ArrayLike<number>
  /** Mean cosine of its rebuilt and the teacher's features. */
  readonly cosine: number
}

/** An image that was masked, and what the network saw in it. All arrays are row-major on `grid`. */
export interface MaskedImage {
  readonly name: string
  readonly picture: Picture
  readonly grid: Grid
  /** Not 0 where the patch was masked. */
  readonly mask: ArrayLike<number>
  readonly truth: ArrayLike<number>
  /** The most probable code; read only where the patch was masked. */
  readonly predicted: ArrayLike<number>
}

/** A work whose pictures the page shows. */
export interface Credit {
  readonly name: string
  readonly author: string
  readonly licence: string
  /** Linked if it is an `https` address. */
  readonly url: string
}

/** What the page shows beside the report. An empty list leaves its section out. */
export interface PageData {
  /** Say "emoji" or "images": what the network was asked about. */
  readonly subject: string
  /** Losses and accuracies of the stages. */
  readonly curves: ReadonlyArray<Curve>
  /** The use of the codebook while it was trained. */
  readonly codebook: ReadonlyArray<Curve>
  /** The most used codes with something to show, most used first. */
  readonly codes: ReadonlyArray<CodeRow>
  /** Codes used as much whose patches are of one colour; they get a sentence. */
  readonly plain: ReadonlyArray<CodeRow>
  /** The mean patch of each code that was seen; gives the code its colour. May be empty. */
  readonly means: ReadonlyMap<number, Picture>
  readonly coded: ReadonlyArray<CodedImage>
  readonly masked: ReadonlyArray<MaskedImage>
  /** Images by true class (row) and predicted class (column), in the order of the report's classes. */
  readonly confusion?: {
    readonly evaluation: string
    readonly counts: ReadonlyArray<ReadonlyArray<number>>
  }
  /** The results that the run's folder keeps, these and others. */
  readonly results?: ReadonlyArray<Result>
  readonly credits: ReadonlyArray<Credit>
  /** Names and values: versions, machine, digests, dates. */
  readonly provenance: ReadonlyArray<readonly [name: string, value: string]>
  readonly config: Json
}
