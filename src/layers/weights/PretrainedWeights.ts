/**
 * Carrying weights over to a network of another kind or for images of another size, as the official code loads its
 * checkpoints (`run_class_finetuning.py`).
 *
 * ```ts
 * import assert from "node:assert"
 * import { Result } from "effect"
 * import { Grid } from "patchword/domain"
 * import { PretrainedWeights } from "patchword/layers"
 * import { HostTensor } from "patchword/shapes"
 *
 * const own = { "blocks.0.attn.relative_position_bias_table": HostTensor.zeros([28, 2], "float32") }
 * const pretrained = {
 *   "rel_pos_bias.relative_position_bias_table": HostTensor.make([12, 2], "float32", new Float32Array(24).fill(1)),
 *   mask_token: HostTensor.zeros([1, 1, 4], "float32")
 * }
 * const loaded = Result.getOrThrow(PretrainedWeights.load(own, pretrained, { grid: Grid.square(3) }))
 * const { data } = loaded["blocks.0.attn.relative_position_bias_table"]!
 * assert.deepStrictEqual(data.map((x) => Math.round(x)), new Float32Array(56).fill(1))
 * ```
 */
import { Result } from "effect"
import * as AbsolutePosition from "../../domain/method/AbsolutePosition.ts"
import * as RelativePosition from "../../domain/method/RelativePosition.ts"
import * as Grid from "../../domain/values/Grid.ts"
import * as HostTensor from "../../shapes/HostTensor.ts"
import * as Weights from "./Weights.ts"

/** The grids of patches that two networks see. */
export interface Grids {
  /** Of the network that is filled. */
  readonly grid: Grid.Grid
  /** Of the network that the weights come from; where absent, the square that fits the length of each table. */
  readonly from?: Grid.Grid
}

const ENCODER = /^(?:cls_token$|pos_embed$|patch_embed\.|rel_pos_bias\.|blocks\.)/
const HEAD = /^head\./
const BEHIND = /^(?:mask_token$|(?:fc_)?norm\.|head\.|lm_head\.|cls_pt_)/
const INDEX = /relative_position_index$/
const TABLE = /relative_position_bias_table$/
const SHARED = "rel_pos_bias.relative_position_bias_table"
const OWN = /^blocks\.\d+\.attn\.relative_position_bias_table$/

type Resize = (values: Float32Array, width: number, from: Grid.Grid, to: Grid.Grid) => Float32Array

/** Resizes a table `[..., rows, width]`; one that is of no grid stays as it is. */
const resized = (
  tensor: HostTensor.Any,
  { from, grid }: Grids,
  rows: (grid: Grid.Grid) => number,
  side: (rows: number) => number,
  resize: Resize
): HostTensor.Any => {
  const shape: ReadonlyArray<number> = tensor.shape
  const [length = 0, width = 0] = shape.slice(-2)
  const source = from ?? Grid.square(side(length))
  return tensor.data instanceof Float32Array && rows(source) === length
    ? HostTensor.make([...shape.slice(0, -2), rows(grid), width], "float32", resize(tensor.data, width, source, grid))
    : tensor
}

const table = (tensor: HostTensor.Any, grids: Grids): HostTensor.Any =>
  resized(tensor, grids, RelativePosition.rows, (rows) => (Math.sqrt(rows - 3) + 1) / 2, RelativePosition.resize)

const positions = (tensor: HostTensor.Any, grids: Grids, resize: Resize): HostTensor.Any =>
  resized(tensor, grids, ({ height, width }) => 1 + height * width, (rows) => Math.sqrt(rows - 1), resize)

/**
 * What a network holds once a checkpoint is loaded into it, both under official names; `network` is what it holds before.
 *
 * Its encoder comes from the checkpoint, whole: a table of relative positions that all blocks shared becomes one of each
 * block where the network wants that, and tables are resized to its grid, relative ones by a cubic spline, absolute ones
 * bicubically. What follows the encoder (norms, the head) is the checkpoint's where it has that, else the network's own: a
 * pretrained network's final norm is used by classifiers of the class token, and left out by those of mean tokens. A head
 * for another number of classes begins anew. What only pretraining needs is left out.
 *
 * Fails with every tensor that is missing, unexpected or misshaped.
 */
export const load = (
  network: Weights.Tensors,
  checkpoint: Weights.Tensors,
  grids: Grids,
  source = "checkpoint"
): Result.Result<Weights.Tensors, Weights.WeightsError> => {
  const own = Object.keys(network).filter((name) => OWN.test(name))
  const given = Object.entries(checkpoint)
    .filter(([name]) => !INDEX.test(name))
    .flatMap(([name, tensor]) =>
      (name === SHARED && own.length > 0 ? own : [name]).map((name) => [name, tensor] as const)
    )
    .map(([name, tensor]): readonly [string, HostTensor.Any] => [
      name,
      TABLE.test(name)
        ? table(tensor, grids)
        : name === "pos_embed"
        ? positions(tensor, grids, AbsolutePosition.resize)
        : tensor
    ])
    .filter(([name, { shape }]) => {
      const wanted = Object.hasOwn(network, name) ? network[name] : undefined
      return wanted === undefined ? !BEHIND.test(name) : !HEAD.test(name) || `${shape}` === `${wanted.shape}`
    })
  const kept = Object.entries(network).filter(([name]) => !ENCODER.test(name))
  const tensors: Weights.Tensors = Object.fromEntries([...kept, ...given])
  return Result.map(Weights.conform(network, Weights.make(tensors), source), () => tensors)
}

const ABSOLUTE = /(?:^|\.)pos_embed$|^visual\.positional_embedding$/

/**
 * The weights of a tokenizer or a teacher for images of another size than their own: their absolute positions are resized
 * the way the official code resizes them at run time, which is not the way it loads checkpoints.
 */
export const resizePositions = (tensors: Weights.Tensors, grids: Grids): Weights.Tensors =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [
      name,
      ABSOLUTE.test(name) ? positions(tensor, grids, AbsolutePosition.resizeAtRunTime) : tensor
    ])
  )
