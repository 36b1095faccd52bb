import { assert, describe, it } from "@effect/vitest"
import { Result, Runtime } from "effect"
import * as Naming from "../../src/domain/weights/Naming.ts"
import * as Golden from "./golden.ts"

const state = (fixture: string): Naming.Tensors => {
  const golden = Golden.tensors(fixture)
  const keys = Golden.keys(fixture).filter((key) => key.startsWith("state/"))
  return Object.fromEntries(keys.map((key) => [key.slice("state/".length), golden(key)]))
}

const sorted = (tensors: Naming.Tensors) =>
  Object.entries(tensors).toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { data, dtype, shape }]) => [name, dtype, shape, data])

const equal = (actual: Result.Result<Naming.Tensors, Naming.NamingError>, expected: Naming.Tensors) =>
  assert.deepStrictEqual(sorted(Result.getOrThrow(actual)), sorted(expected))

const without = (tensors: Naming.Tensors, pattern: RegExp): Naming.Tensors =>
  Object.fromEntries(Object.entries(tensors).filter(([name]) => !pattern.test(name)))

const networks = [
  ["classifier", "finetune_meanpool", "hf_beit_classifier"],
  ["pretrained", "mim_cls_shared", "hf_beit_mim"],
  ["clip", "teacher_clip", "hf_clip_vision"],
  ["dino", "teacher_dino", "hf_dino_vit"]
] as const

describe("Naming against the files of Hugging Face", () => {
  it.each(networks)("%s", (network, official, theirs) => {
    const ours = without(state(official), /relative_position_index$|^cls_pt_/)
    equal(Naming.to("huggingface", state(official), network), state(theirs))
    equal(Naming.official(state(theirs), network), ours)
    equal(Naming.official(state(official), network), without(state(official), /relative_position_index$/))
    assert.deepStrictEqual(Naming.detect(Object.keys(state(theirs)), network), Result.succeed("huggingface"))
    assert.deepStrictEqual(Naming.detect(Object.keys(state(official)), network), Result.succeed("official"))
  })

  it.each([networks[0], networks[1], networks[3]])(
    "%s as transformers 5 calls it in memory",
    (network, official, theirs) => {
      const ours = without(state(official), /relative_position_index$|^cls_pt_/)
      const named = Object.entries(state(theirs)).map(([name, tensor]) =>
        [
          name.replace("encoder.layer.", "layers.").replace("encoder.relative_position", "shared_position")
            .replace("attention.attention.relative", "relative")
            .replace(/attention\.attention\.(q|k|v)(?:uery|ey|alue)\./, "attention.$1_proj.")
            .replace("attention.output.dense", "attention.o_proj").replace("intermediate.dense", "mlp.fc1")
            .replace("output.dense", "mlp.fc2"),
          tensor
        ] as const
      )
      equal(Naming.official(Object.fromEntries(named), network), ours)
    }
  )

  it("passes over what they keep for other purposes", () => {
    const one = { shape: [1], dtype: "float32", data: Float32Array.of(1) } as const
    const tower = {
      "text_model.encoder.x": one,
      "text_projection.weight": one,
      logit_scale: one,
      "vision_model.embeddings.position_ids": one
    }
    equal(Naming.official({ ...state("hf_clip_vision"), ...tower }, "clip"), state("teacher_clip"))
    equal(
      Naming.official({ ...state("teacher_clip"), logit_scale: one, "ln_final.weight": one }, "clip"),
      state("teacher_clip")
    )
    equal(Naming.official({ ...state("hf_dino_vit"), "pooler.dense.weight": one }, "dino"), state("teacher_dino"))
    const tokenizer = { "encoder.patch_embed.proj.weight": one }
    equal(Naming.official({ ...tokenizer, "teacher_model.x": one, "scaling_layer.shift": one }, "tokenizer"), tokenizer)
  })
})

describe("Naming against timm", () => {
  it("calls a classifier as timm does", () => {
    const expected: ReadonlyArray<readonly [string, ReadonlyArray<number>]> = Golden.json("timm_beit").timm_state_dict
    const theirs = Result.getOrThrow(Naming.to("timm", state("finetune_meanpool"), "classifier"))
    assert.sameDeepMembers(
      Object.entries(theirs).map(([name, { shape }]) => [name, shape]),
      [...expected].map((x) => [...x])
    )
    equal(Naming.official(theirs, "classifier"), theirs)
  })

  it("calls CLIP's image tower as timm does", () => {
    const expected: Readonly<Record<string, ReadonlyArray<number>>> = Golden.json("timm_clip_names").keys
    const ours = state("teacher_clip")
    const theirs = Result.getOrThrow(Naming.to("timm", ours, "clip"))
    assert.deepStrictEqual(
      Object.fromEntries(Object.entries(theirs).map(([name, { shape }]) => [name, shape])),
      Object.fromEntries(Object.entries(expected))
    )
    const [rows, columns] = ours["visual.proj"]!.shape as [number, number]
    assert.strictEqual(theirs["head.weight"]!.data[1], ours["visual.proj"]!.data[columns])
    assert.strictEqual(theirs["head.weight"]!.data[rows], ours["visual.proj"]!.data[1])
    assert.isTrue(theirs["head.bias"]!.data.every((x) => x === 0))
    equal(Naming.official(theirs, "clip"), ours)

    const bias = { ...theirs["head.bias"]!, data: theirs["head.bias"]!.data.map(() => 1) }
    assert.include(
      Object.keys(Result.getOrThrow(Naming.official({ ...theirs, "head.bias": bias }, "clip"))),
      "head.bias"
    )
  })
})

describe("Naming", () => {
  const failure = (result: Result.Result<unknown, Naming.NamingError>) => Result.getOrThrow(Result.flip(result))
  const theirs = state("hf_beit_classifier")

  it("refuses names of no naming, and of two", () => {
    const none = failure(Naming.official({ a: theirs["classifier.bias"]! }, "classifier"))
    assert.strictEqual(none[Runtime.errorExitCode], 65)
    assert.strictEqual(
      none.message,
      "the tensors are named in no known way. A classifier network has patch_embed.proj.weight (official) or " +
        "beit.embeddings.patch_embeddings.projection.weight (huggingface). The file has a; use a file of that network, " +
        "written by one of them"
    )
    const both = failure(Naming.official({ ...theirs, ...state("finetune_meanpool") }, "classifier"))
    assert.include(both.message, "the tensors are named in several ways")
  })

  it("believes who is said to have named them", () => {
    const { "beit.embeddings.patch_embeddings.projection.weight": _, ...part } = theirs
    const marker = "patch_embed.proj.weight"
    assert.strictEqual(failure(Naming.official(part, "classifier")).reason._tag, "Unclear")
    equal(
      Naming.official(part, "classifier", "huggingface"),
      without(Result.getOrThrow(Naming.official(theirs, "classifier")), new RegExp(`^${marker}$`))
    )
    equal(Naming.official(part, "classifier", "official"), part)
    assert.strictEqual(failure(Naming.official(part, "tokenizer", "timm")).reason._tag, "NoNetwork")
  })

  it("says who has no such network, and what there is no place for", () => {
    assert.strictEqual(
      failure(Naming.to("timm", state("mim_cls_shared"), "pretrained")).message,
      "timm has no pretrained network; use official or huggingface names"
    )
    const odd = {
      "blocks.0.attn.qkv.weight": { shape: [4], dtype: "float32", data: new Float32Array(4) },
      x: theirs["classifier.bias"]!
    } as const
    assert.strictEqual(
      failure(Naming.to("huggingface", odd, "classifier")).message,
      "the classifier network of huggingface has no name for blocks.0.attn.qkv.weight, x; remove these tensors, or use official names"
    )
  })

  it("leaves what it does not know to whoever fills a network", () => {
    const key = "beit.encoder.layer.0.attention.attention.key.weight"
    const { [key]: _, ...partial } = theirs
    const translated = Result.getOrThrow(Naming.official({ ...partial, odd: theirs["classifier.bias"]! }, "classifier"))
    assert.includeMembers(Object.keys(translated), [
      "odd",
      "beit.encoder.layer.0.attention.attention.query.weight",
      "beit.encoder.layer.0.attention.attention.value.weight",
      "blocks.1.attn.qkv.weight"
    ])
    assert.notProperty(translated, "blocks.0.attn.qkv.weight")
  })
})
