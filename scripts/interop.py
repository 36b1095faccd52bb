"""Loads the weights of a folder into timm and transformers, and writes there what these compute from them."""

import json
import sys
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.layers import QuickGELU
from timm.models.beit import Beit
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    BeitConfig,
    BeitForImageClassification,
    BeitForMaskedImageModeling,
    BeitImageProcessorPil,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    ViTConfig,
    ViTModel,
)
from transformers.utils import logging

logging.disable_progress_bar()

folder = Path(sys.argv[1])
plan = json.loads((folder / "plan.json").read_text())
image, patch, width, depth, heads, out = (plan[key] for key in ("image", "patch", "width", "depth", "heads", "out"))
given = load_file(folder / "input.safetensors")
images, mask = given["images"], given["mask"].bool()
pictures = [Image.fromarray(given[key].numpy().astype("uint8")) for key in sorted(given) if key.startswith("picture_")]

ours = {"img_size": image, "patch_size": patch, "embed_dim": width, "depth": depth, "num_heads": heads}
theirs = {
    "image_size": image,
    "patch_size": patch,
    "hidden_size": width,
    "intermediate_size": 4 * width,
    "num_hidden_layers": depth,
    "num_attention_heads": heads,
}
beit = {**theirs, "layer_norm_eps": 1e-6, "layer_scale_init_value": 0.1, "use_mean_pooling": True}


def timm_beit():
    options = {"qkv_bias": True, "init_values": 0.1, "use_rel_pos_bias": True, "use_abs_pos_emb": False}
    return Beit(**ours, num_classes=out, **options), lambda model: model(images)


def timm_clip():
    norm = partial(torch.nn.LayerNorm, eps=1e-5)
    model = VisionTransformer(
        **ours, num_classes=out, global_pool="token", pre_norm=True, norm_layer=norm, act_layer=QuickGELU
    )
    return model, lambda model: model.head(model.forward_features(images)[:, 1:])


def timm_dino():
    return VisionTransformer(**ours, num_classes=0), lambda model: model.forward_features(images)[:, 1:]


def hf_classifier():
    config = BeitConfig(**beit, num_labels=out, use_relative_position_bias=True)
    return BeitForImageClassification, config, lambda model: model(images).logits


def hf_pretrained():
    config = BeitConfig(**beit, vocab_size=out, use_mask_token=True, use_shared_relative_position_bias=True)
    return BeitForMaskedImageModeling, config, lambda model: model(images, bool_masked_pos=mask).logits


def hf_clip():
    config = CLIPVisionConfig(**theirs, projection_dim=out, hidden_act="quick_gelu", layer_norm_eps=1e-5)

    def target(model):
        hidden = model(images).last_hidden_state[:, 1:]
        norm = next(module for name, module in model.named_modules() if name.endswith("post_layernorm"))
        return model.visual_projection(norm(hidden))

    return CLIPVisionModelWithProjection, config, target


def hf_dino():
    config = ViTConfig(**theirs, layer_norm_eps=1e-6)
    loading = partial(ViTModel.from_pretrained, add_pooling_layer=False)
    return loading, config, lambda model: model(images).last_hidden_state[:, 1:]


timm_models = {"classifier": timm_beit, "clip": timm_clip, "dino": timm_dino}
hf_models = {"classifier": hf_classifier, "pretrained": hf_pretrained, "clip": hf_clip, "dino": hf_dino}


def from_hf(place, load, config):
    config.save_pretrained(place)
    model, report = getattr(load, "from_pretrained", load)(place, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[kind]:
            raise SystemExit(f"{place.name}: {kind} {sorted(report[kind])}")
    model.save_pretrained(place / "again")
    return model


def from_timm(place, model):
    state = load_file(place / "model.safetensors")
    if "visual.class_embedding" in state:
        state = checkpoint_filter_fn(state, model)
    model.load_state_dict(state, strict=True)
    (place / "again").mkdir()
    torch.save({"model": model.state_dict(), "epoch": 0}, place / "again" / "model.pth")
    return model


def write_theirs(place):
    torch.manual_seed(0)
    shape = {"use_shared_relative_position_bias": True, "use_absolute_position_embeddings": True, "num_labels": 5}
    config = BeitConfig(**{**theirs, **shape, "use_mean_pooling": False, "initializer_range": 0.2})
    BeitForImageClassification(config).save_pretrained(place)
    half = [0.5, 0.5, 0.5]
    BeitImageProcessorPil(
        size={"height": image, "width": image}, resample=2, do_center_crop=False, image_mean=half, image_std=half
    ).save_pretrained(place)


def from_folder(place):
    processor = AutoImageProcessor.from_pretrained(place, backend="pil")
    model = AutoModelForImageClassification.from_pretrained(place).eval()
    return torch.cat([model(**processor(picture, return_tensors="pt")).logits for picture in pictures])


outputs = {}
with torch.no_grad():
    write_theirs(folder / "theirs")
    for name in [*plan["folders"], "theirs"]:
        outputs[f"folder-{name}"] = from_folder(folder / name).contiguous()
    for network, naming in plan["cases"]:
        place = folder / f"{network}-{naming}"
        if naming == "huggingface":
            load, config, compute = hf_models[network]()
            model = from_hf(place, load, config)
        else:
            model, compute = timm_models[network]()
            from_timm(place, model)
        outputs[f"{network}-{naming}"] = compute(model.eval()).contiguous()
save_file(outputs, folder / "output.safetensors")
