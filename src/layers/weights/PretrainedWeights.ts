/**
 * Transfers weights to a network of another kind or for images of another size, as the official code does when it loads
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

/** The patch grids of the two networks. */
export interface Grids {
  /** Grid of the network that receives the weights. */
  readonly grid: Grid.Grid
  /** Grid of the network that the weights come from. Default: the square that fits the length of each table. */
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

/** Resizes a table `[..., rows, width]`. A table whose length does not fit the grid stays as it is. */
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

/** Returns the tensors of {@link load} before they are compared with the network's. */
const adapted = (network: Weights.Tensors, checkpoint: Weights.Tensors, grids: Grids): Weights.Tensors => {
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
  return Object.fromEntries([...kept, ...given])
}

/**
 * Returns the tensors of a network after a checkpoint is loaded into it. Both have official names; `network` holds the
 * tensors before.
 *
 * The whole encoder comes from the checkpoint. A table of relative positions that all blocks share is copied to each block
 * if the network wants one per block. Tables are resized to the network's grid: relative positions by a cubic spline,
 * absolute positions bicubically. The parts after the encoder (norms, the head) come from the checkpoint if it has them,
 * else from the network. Classifiers of the class token use a pretrained network's final norm; classifiers of mean tokens
 * do not. A head for another number of classes keeps its initial values. Parts that only pretraining needs are left out.
 *
 * Fails with `Mismatch`, which lists every tensor that is missing, unexpected or misshaped.
 */
export const load = (
  network: Weights.Tensors,
  checkpoint: Weights.Tensors,
  grids: Grids,
  source = "checkpoint"
): Result.Result<Weights.Tensors, Weights.WeightsError> => {
  const tensors = adapted(network, checkpoint, grids)
  return Result.map(Weights.conform(network, Weights.make(tensors), source), () => tensors)
}

const BACKBONE = "backbone."
const COUNT = /\.num_batches_tracked$/
const CLASSIFIER = /\.conv_seg\.(?:weight|bias)$/

/** Returns the tensors whose names begin with `backbone.`, without it, and the others. */
const divided = (tensors: Weights.Tensors) => {
  const [trunk, others]: [Record<string, HostTensor.Any>, Record<string, HostTensor.Any>] = [{}, {}]
  for (const [name, tensor] of Object.entries(tensors)) {
    if (COUNT.test(name)) continue
    if (name.startsWith(BACKBONE)) trunk[name.slice(BACKBONE.length)] = tensor
    else others[name] = tensor
  }
  return { trunk, others }
}

/**
 * Returns the tensors of a segmenter after a checkpoint of mmsegmentation is loaded into it. Both have its names: `backbone.*`,
 * `decode_head.*`, `auxiliary_head.*`. `network` holds the tensors before.
 *
 * Tables of positions are resized as {@link load} does. Layers that make logits for another number of classes keep their initial
 * values. The counts of batches (`num_batches_tracked`) are left out, since nothing depends on them.
 *
 * Fails with `Mismatch`, which lists every tensor that is missing, unexpected or misshaped.
 */
export const loadSegmenter = (
  network: Weights.Tensors,
  checkpoint: Weights.Tensors,
  grids: Grids,
  source = "checkpoint"
): Result.Result<Weights.Tensors, Weights.WeightsError> => {
  const [own, given] = [divided(network), divided(checkpoint)]
  const trunk = Object.entries(adapted(own.trunk, given.trunk, grids))
  const heads = Object.entries(given.others).filter(([name, { shape }]) => {
    const wanted = own.others[name]
    return wanted === undefined || !CLASSIFIER.test(name) || `${shape}` === `${wanted.shape}`
  })
  const tensors: Weights.Tensors = {
    ...Object.fromEntries(trunk.map(([name, tensor]) => [`${BACKBONE}${name}`, tensor])),
    ...own.others,
    ...Object.fromEntries(heads)
  }
  return Result.map(Weights.conform(network, Weights.make(tensors), source), () => tensors)
}

const ABSOLUTE = /(?:^|\.)pos_embed$|^visual\.positional_embedding$/

/**
 * Resizes the absolute positions of a tokenizer or a teacher to images of another size. The official code does this at run
 * time, by another method than when it loads checkpoints.
 */
export const resizePositions = (tensors: Weights.Tensors, grids: Grids): Weights.Tensors =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [
      name,
      ABSOLUTE.test(name) ? positions(tensor, grids, AbsolutePosition.resizeAtRunTime) : tensor
    ])
  )
