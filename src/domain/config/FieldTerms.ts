/**
 * Names that other projects give to the keys of a configuration: timm, transformers, the official code and
 * vector-quantize-pytorch.
 *
 * ```ts
 * import assert from "node:assert"
 * import { FieldTerms } from "patchword/domain"
 *
 * const known = [["optimizer", "lr"], ["optimizer", "eps"], ["codebook", "size"]]
 * assert.deepStrictEqual(FieldTerms.meant(["learning_rate"], known), [["optimizer", "lr"]])
 * assert.deepStrictEqual(FieldTerms.meant(["codebook", "n_embed"], known), [["codebook", "size"]])
 * ```
 */

const TERMS: Readonly<Record<string, string>> = {
  lr: "learning_rate base_lr blr peak_lr max_lr",
  minLr: "min_learning_rate end_lr final_lr eta_min",
  batchSize: "bs batch train_batch_size batch_size_per_gpu per_device_train_batch_size",
  accumulate: "update_freq accum_iter accum_steps gradient_accumulation_steps accumulate_grad_batches",
  weightDecay: "wd",
  weightDecayEnd: "weight_decay_end wd_end",
  ema: "model_ema model_ema_decay",
  betas: "beta1 beta2 adam_beta1 adam_beta2 opt_betas momentum",
  eps: "epsilon adam_epsilon opt_eps",
  clipNorm: "clip_grad grad_clip max_grad_norm gradient_clip_val clip",
  epochs: "n_epochs num_epochs num_train_epochs max_epochs total_epochs",
  steps: "n_steps num_steps max_steps total_steps train_steps iters max_iters",
  duration: "epochs steps n_epochs num_epochs n_steps num_steps",
  warmup: "warm_up warmup_epochs warmup_steps",
  warmupSteps: "num_warmup_steps warmup_iters",
  seed: "random_seed rng_seed",
  imageSize: "img_size input_size resolution image_resolution img_dim",
  patchSize: "patch patch_dim",
  width: "embed_dim hidden_size hidden_dim d_model embedding_dim",
  depth: "n_layers num_layers num_hidden_layers layers n_blocks num_blocks",
  heads: "n_heads num_heads num_attention_heads",
  layerScale: "init_values layer_scale_init layer_scale_init_value",
  dropPath: "drop_path_rate stochastic_depth stochastic_depth_rate",
  absolutePositions: "abs_pos_emb use_abs_pos_emb",
  relativePositions: "rel_pos_bias use_rel_pos_bias use_shared_rel_pos_bias",
  normEpsilon: "layer_norm_eps norm_eps",
  pooling: "pool global_pool use_mean_pooling",
  initStd: "initializer_range",
  "codebook.size": "n_embed n_emb n_codes num_codes num_embeddings codebook_size codebook_n_emd vocab_size n_e",
  "codebook.dim": "embed_dim embedding_dim codebook_dim codebook_emd_dim code_dim e_dim",
  "codebook.decay": "ema_decay ema decay_rate",
  "codebook.kmeans": "kmeans_init quantize_kmeans_init",
  "codebook.revival.threshold": "threshold_ema_dead_code dead_code_threshold",
  "codebook.quantizer.commitment": "beta commitment_weight commitment_cost",
  decoderDepth: "decoder_layers decoder_num_layers",
  "mask.count": "mask_ratio num_mask_patches num_masking_patches masked_patches",
  "mask.minBlock": "min_mask_patches_per_block",
  "mask.maxBlock": "max_mask_patches_per_block",
  earlyLayer: "early_layers",
  headDepth: "head_layers",
  sharedHead: "shared_lm_head",
  layerDecay: "llrd layer_wise_decay",
  labelSmoothing: "smoothing",
  headScale: "init_scale",
  mixup: "mixup_alpha",
  cutmix: "cutmix_alpha",
  randAugment: "ra rand_aug",
  autoAugment: "aa",
  erasing: "reprob random_erasing random_erase",
  jitter: "color_jitter colour_jitter",
  cropScale: "scale min_crop min_crop_scale",
  cropRatio: "ratio aspect_ratio",
  flip: "hflip horizontal_flip",
  evaluationCrop: "crop_pct",
  neighbours: "k n_neighbors neighbors nb_knn",
  temperature: "t temp tau",
  perClass: "n_per_class n_per_class_list shots n_shot",
  tries: "n_tries",
  rates: "learning_rates lrs",
  blocks: "n_last_blocks n_last_blocks_list",
  l2: "c penalty regularization regularisation weight_decay",
  iterations: "max_iter"
}

const plain = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, "")

const MEANINGS = Map.groupBy(
  Object.entries(TERMS).flatMap(([key, terms]) => terms.split(" ").map((term) => ({ term: plain(term), key }))),
  ({ term }) => term
)

const isAt = (path: ReadonlyArray<string>, end: string): boolean => {
  const names = end.split(".")
  return names.length <= path.length && names.every((name, i) => plain(name) === plain(path.at(i - names.length)!))
}

/** The largest number of keys that a suggestion lists. */
const MOST = 4

/**
 * Finds the known paths that an unknown path probably means. It looks at the last name, in any spelling (`batch_size`) or as
 * other projects call it (`bs`). Of several known paths it returns those nearest in the tree. It returns none if there is no
 * such path, or too many.
 */
export const meant = (
  path: ReadonlyArray<string>,
  known: ReadonlyArray<ReadonlyArray<string>>
): ReadonlyArray<ReadonlyArray<string>> => {
  const name = path.at(-1)!
  const ends = [name, ...(MEANINGS.get(plain(name)) ?? []).map(({ key }) => key)]
  const parents = path.slice(0, -1)
  const shared = (other: ReadonlyArray<string>) => {
    const parted = parents.findIndex((parent, i) => parent !== other[i])
    return parted < 0 ? parents.length : parted
  }
  const found = known
    .filter((other) => ends.some((end) => isAt(other, end)))
    .filter((other) => parents.length === 0 || shared(other) > 0)
  const nearest = Math.max(...found.map(shared))
  const best = found.filter((other) => shared(other) === nearest)
  return best.length > MOST ? [] : best
}
