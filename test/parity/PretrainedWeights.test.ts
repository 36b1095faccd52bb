import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Result, Runtime } from "effect"
import * as Grid from "../../src/domain/values/Grid.ts"
import * as PretrainedWeights from "../../src/layers/weights/PretrainedWeights.ts"
import * as Weights from "../../src/layers/weights/Weights.ts"
import * as HostTensor from "../../src/shapes/HostTensor.ts"
import * as Torch from "../layers/weights/torch.ts"
import * as Golden from "./golden.ts"

const golden = Golden.tensors("relpos")

const state = (prefix: string): Weights.Tensors =>
  Object.fromEntries(
    Golden.keys("relpos").filter((key) => key.startsWith(prefix)).map((key) => [key.slice(prefix.length), golden(key)])
  )

const before = state("chain_finetune_state_before/")
const after = state("chain_finetune_state_after/")
const pretrained = state("chain_pretrain_state/")
const grids = { grid: Grid.square(6) }

const load = (network: Weights.Tensors, checkpoint: Weights.Tensors, given: PretrainedWeights.Grids = grids) =>
  Result.getOrThrow(PretrainedWeights.load(network, checkpoint, given))

const close = (actual: HostTensor.Any, expected: HostTensor.Any, tolerance: number) => {
  assert.deepStrictEqual(actual.shape, expected.shape)
  const worst = Math.max(...Array.from(actual.data, (x, i) => Math.abs(x - expected.data[i]!)))
  assert.isBelow(worst, tolerance)
}

describe("PretrainedWeights.load against the official loading", () => {
  it("gives a classifier for bigger images what the official code gives it", () => {
    const loaded = load(before, pretrained)
    assert.sameMembers(Object.keys(loaded), Object.keys(before))
    for (const name of Object.keys(before)) {
      const changed = after[name]
      if (changed !== undefined) close(loaded[name]!, changed, 1e-6)
      else if (/^(?:fc_norm|head)\./.test(name)) assert.strictEqual(loaded[name], before[name])
      else assert.strictEqual(loaded[name], pretrained[name])
    }
    assert.strictEqual(Object.keys(after).length, 2)
  })

  it("resizes absolute positions explicitly on loading, by 0.1 more at run time", () => {
    const source = golden("resize_4to6/pos_embed_src")
    const network = { pos_embed: HostTensor.zeros([1, 37, 12], "float32") }
    close(load(network, { pos_embed: source })["pos_embed"]!, golden("resize_4to6/pos_embed_dst"), 1e-5)

    const small = golden("posembed_runtime_4to6/src")
    const tensors = {
      "encoder.pos_embed": small,
      "visual.positional_embedding": { ...small, shape: [17, 6] },
      other: small
    }
    const resized = PretrainedWeights.resizePositions(tensors, grids)
    close(resized["encoder.pos_embed"]!, golden("posembed_runtime_4to6/dst"), 1e-5)
    assert.deepStrictEqual(resized["visual.positional_embedding"]!.shape, [37, 6])
    assert.deepStrictEqual(resized["visual.positional_embedding"]!.data, resized["encoder.pos_embed"]!.data)
    assert.strictEqual(resized["other"], small)
  })
})

describe("a pretrained network in a file", () => {
  const expected = load(before, pretrained)

  const archive = Effect.promise(() => {
    const index = { key: "index", type: "Long", data: BigInt64Array.of(0n), length: 1 }
    const tensors = Object.entries(pretrained).map(([name, { data, shape }], i) => {
      const storage = { key: `${i}`, type: "Float", data, length: data.length }
      return [name, { storage, shape }] as const
    })
    const state = Torch.stateDict({
      ...Object.fromEntries(tensors),
      "rel_pos_bias.relative_position_index": { storage: index, shape: [17, 17], strides: [0, 0] }
    })
    const value = { dict: [["model", state], ["epoch", 1599], ["scaler", { dict: [] }]] } as const
    return Torch.file(value, [index, ...tensors.map(([, { storage }]) => storage)])
  })

  it.effect("fills a classifier for bigger images, by whomever it was written", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const network = "pretrained"
      yield* fs.writeFile(`${folder}/w.pth`, yield* archive)
      yield* Weights.write(`${folder}/official`, Weights.make(pretrained), { naming: "official", network })
      yield* Weights.write(`${folder}/huggingface`, Weights.make(pretrained), { naming: "huggingface", network })
      for (const file of ["w.pth", "official", "huggingface"]) {
        const { tensors } = yield* Weights.read(`${folder}/${file}`, { network })
        assert.deepStrictEqual(load(before, tensors), expected, file)
      }
    }).pipe(Effect.provide(NodeServices.layer)))
})

describe("PretrainedWeights.load", () => {
  const norm = HostTensor.zeros([24], "float32")

  it("takes the final norm for classifiers of the class token", () => {
    const { "fc_norm.bias": _, "fc_norm.weight": __, ...rest } = before
    const loaded = load({ ...rest, "norm.weight": norm, "norm.bias": norm }, pretrained)
    assert.strictEqual(loaded["norm.weight"], pretrained["norm.weight"])
    assert.strictEqual(loaded["norm.bias"], pretrained["norm.bias"])
  })

  it("takes the head of a classifier of as many classes, and begins it anew for others", () => {
    const classifier = load(before, pretrained)
    const head = HostTensor.make([5], "float32", Float32Array.of(1, 2, 3, 4, 5))
    assert.strictEqual(load(before, { ...classifier, "head.bias": head })["head.bias"], head)
    const other = HostTensor.zeros([7], "float32")
    assert.strictEqual(load(before, { ...classifier, "head.bias": other })["head.bias"], before["head.bias"])
  })

  it("leaves index buffers out, and equal grids as they are", () => {
    const index = HostTensor.zeros([37, 37], "int32")
    const classifier = load(before, pretrained)
    const again = load(before, { ...classifier, "blocks.0.attn.relative_position_index": index })
    assert.deepStrictEqual(again, classifier)
  })

  it("carries tables between grids that are no squares", () => {
    const name = "blocks.0.attn.relative_position_bias_table"
    const network = { [name]: HostTensor.zeros([3 * 9 + 3, 2], "float32") }
    const checkpoint = { [name]: HostTensor.make([18, 2], "float32", new Float32Array(36).fill(2)) }
    const loaded = load(network, checkpoint, { grid: { height: 2, width: 5 }, from: { height: 2, width: 3 } })
    close(loaded[name]!, { shape: [30, 2], dtype: "float32", data: new Float32Array(60).fill(2) }, 1e-6)
  })

  it("lists norms of another width, and what no network has", () => {
    const wide = HostTensor.zeros([25], "float32")
    const { message } = Result.getOrThrow(Result.flip(PretrainedWeights.load(
      before,
      { ...pretrained, "fc_norm.bias": wide, "head.bias": wide, "decoder.x": norm, "norm.weight": wide },
      grids
    )))
    assert.include(
      message,
      "(1 unexpected: decoder.x [24] float32; 1 of another shape: fc_norm.bias is [25] float32, expected [24] float32)"
    )
  })

  it("lists at once all of the encoder that does not fit", () => {
    const { "blocks.1.gamma_1": _, cls_token, ...rest } = pretrained
    const error = Result.getOrThrow(Result.flip(PretrainedWeights.load(
      before,
      {
        ...rest,
        cls_token: HostTensor.zeros([1, 1, 25], "float32"),
        "blocks.2.gamma_1": norm,
        "rel_pos_bias.relative_position_bias_table": HostTensor.zeros([53, 2], "float32")
      },
      grids,
      "w.pth"
    )))
    assert.isDefined(cls_token)
    assert.strictEqual(error[Runtime.errorExitCode], 65)
    assert.strictEqual(
      error.message,
      "weights w.pth: the tensors do not fit the network (1 missing: blocks.1.gamma_1 [24] float32; " +
        "1 unexpected: blocks.2.gamma_1 [24] float32; 3 of another shape: " +
        "blocks.0.attn.relative_position_bias_table is [53, 2] float32, expected [124, 2] float32, " +
        "blocks.1.attn.relative_position_bias_table is [53, 2] float32, expected [124, 2] float32, " +
        "cls_token is [1, 1, 25] float32, expected [1, 1, 24] float32); use weights of the same architecture"
    )
  })
})

describe("PretrainedWeights.loadSegmenter", () => {
  const segmenter = Golden.tensors("segmenter_p16")
  const published: Weights.Tensors = Object.fromEntries(
    Golden.keys("segmenter_p16").filter((key) => key.startsWith("state/")).map((key) => [key.slice(6), segmenter(key)])
  )
  const zeros = (name: string, { shape }: HostTensor.Any, classes = 5, rows = 52): HostTensor.Any =>
    HostTensor.zeros(
      name.includes("conv_seg")
        ? [classes, ...shape.slice(1)]
        : name.endsWith("relative_position_bias_table")
        ? [rows, shape[1]!]
        : shape,
      "float32"
    )
  const network = (classes?: number, rows?: number): Weights.Tensors =>
    Object.fromEntries(Object.entries(published).map(([name, tensor]) => [name, zeros(name, tensor, classes, rows)]))
  const archive: Weights.Tensors = {
    ...published,
    "decode_head.bottleneck.bn.num_batches_tracked": HostTensor.make([], "int32", Int32Array.of(7)),
    "backbone.fpn1.1.num_batches_tracked": HostTensor.make([], "int32", Int32Array.of(7)),
    "backbone.blocks.0.attn.relative_position_index": HostTensor.zeros([17, 17], "int32")
  }

  it("reads the names of a published file, and leaves its counts and indices out", () => {
    const loaded = Result.getOrThrow(PretrainedWeights.loadSegmenter(network(), archive, { grid: Grid.square(4) }))
    assert.sameMembers(Object.keys(loaded), Object.keys(published))
    for (const [name, tensor] of Object.entries(published)) {
      assert.deepStrictEqual(loaded[name]!.data, tensor.data, name)
    }
  })

  it("resizes positions as a classifier does, and keeps a head for other classes", () => {
    const before = network(7, 124)
    const loaded = Result.getOrThrow(PretrainedWeights.loadSegmenter(before, archive, { grid: Grid.square(6) }))
    const table = "blocks.3.attn.relative_position_bias_table"
    const alone = load({ [table]: before[`backbone.${table}`]! }, { [table]: published[`backbone.${table}`]! })
    assert.deepStrictEqual(loaded[`backbone.${table}`]!.shape, [124, 2])
    assert.deepStrictEqual(loaded[`backbone.${table}`]!.data, alone[table]!.data)
    for (const name of ["decode_head.conv_seg.weight", "auxiliary_head.conv_seg.bias"]) {
      assert.strictEqual(loaded[name], before[name])
    }
    assert.strictEqual(
      loaded["decode_head.fpn_bottleneck.conv.weight"],
      published["decode_head.fpn_bottleneck.conv.weight"]
    )
  })

  it("keeps the heads of a network if the checkpoint is a backbone, and refuses tensors of other heads", () => {
    const before = network()
    const backbone = Object.fromEntries(Object.entries(published).filter(([name]) => name.startsWith("backbone.")))
    const grids = { grid: Grid.square(4) }
    const loaded = Result.getOrThrow(PretrainedWeights.loadSegmenter(before, backbone, grids))
    assert.strictEqual(loaded["decode_head.bottleneck.bn.running_var"], before["decode_head.bottleneck.bn.running_var"])
    const other = { ...published, "decode_head.mask.weight": HostTensor.zeros([2], "float32") }
    const failed = Result.getOrThrow(Result.flip(PretrainedWeights.loadSegmenter(before, other, grids, "other.pth")))
    assert.include(failed.message, "decode_head.mask.weight")
  })
})
