"""One step of BEiT v2 in PyTorch, timed: the measure that our own steps are held to.

The networks are those of the paper, in training, masked image modelling with patch aggregation (`mim`) and the tokenizer
(`vqkd`), and in use, the backbone's mean patch token (`features`) and the tokenizer's codes (`codes`), with PyTorch's own
fast parts: scaled_dot_product_attention, fused AdamW, autocast for bf16, tf32 on a GPU, and torch.compile where `compile`
names its mode. Weights and batches are those of `same.ts`. On a GPU a step begins with the batch in pinned memory of the host.
Reads its sizes as JSON from the command line, prints one line of JSON. Ends with 69, and the reason as the last line of
standard error, where torch.compile finds no C++ compiler, or the device lacks the precision.
"""

import json
import math
import os
import re
import resource
import subprocess
import sys
import threading
import time

began = time.perf_counter()

import torch
from torch import nn
from torch.nn import functional as F

given = json.loads(sys.argv[1])


def refuse(reason):
    print(reason, file=sys.stderr)
    sys.exit(69)


def end_with_parent():
    while os.read(0, 1):
        pass
    os._exit(1)


if given.get("watched"):
    threading.Thread(target=end_with_parent, daemon=True).start()
device = given.get("device", "cpu")
if device == "cuda":
    if not torch.cuda.is_available():
        refuse(f"PyTorch {torch.__version__} sees no GPU")
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = given["precision"] != "fp32"
elif given["precision"] == "tf32":
    refuse("PyTorch has tf32 on a GPU alone")
torch.manual_seed(0)
torch.set_num_threads(given["threads"])
side = given["image"] // given["patch"]
patches, width, heads, depth = side * side, given["width"], given["heads"], given["depth"]
batch, codes, code_width, teacher = given["batch"], given["codes"], given["codeWidth"], given["teacher"]


class Block(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias, self.v_bias = (nn.Parameter(torch.zeros(width)) for _ in range(2))
        self.proj = nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, given["hidden"]), nn.Linear(given["hidden"], width)
        self.gammas = nn.ParameterList([nn.Parameter(torch.full((width,), scale)) for _ in range(2 if scale else 0)])

    def forward(self, x, bias=None):
        b, t, _ = x.shape
        joint = F.linear(self.norm1(x), self.qkv.weight, torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias)))
        q, k, v = joint.reshape(b, t, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        mask = None if bias is None else bias.to(q.dtype)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(b, t, -1)
        x = x + self.scaled(self.proj(y), 0)
        return x + self.scaled(self.fc2(F.gelu(self.fc1(self.norm2(x)))), 1)

    def scaled(self, y, place):
        return y * self.gammas[place] if len(self.gammas) else y


def tokens(self, images):
    x = self.embed(images).flatten(2).transpose(1, 2)
    return torch.cat((self.cls.expand(len(x), -1, -1), x), 1)


class Mim(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, width, given["patch"], given["patch"])
        self.cls, self.mask = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(torch.zeros(1, 1, width))
        if given["absolutePositions"]:
            self.positions = nn.Parameter(torch.zeros(1, patches + 1, width))
        self.table = nn.Parameter(torch.zeros((2 * side - 1) ** 2 + 3, heads))
        self.blocks = nn.ModuleList([Block(given["layerScale"]) for _ in range(depth)])
        self.head = nn.ModuleList([Block(given["layerScale"]) for _ in range(given["headDepth"])])
        self.norm, self.lm = nn.LayerNorm(width, 1e-6), nn.Linear(width, codes)
        at = torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")).flatten(1)
        apart = at[:, :, None] - at[:, None, :] + side - 1
        index = torch.zeros(patches + 1, patches + 1, dtype=torch.long)
        index[1:, 1:] = apart[0] * (2 * side - 1) + apart[1]
        top = (2 * side - 1) ** 2
        index[0, :], index[:, 0], index[0, 0] = top, top + 1, top + 2
        self.register_buffer("index", index)

    def placed(self, x):
        return x + self.positions if given["absolutePositions"] else x

    def bias(self):
        return self.table[self.index].permute(2, 0, 1)

    def features(self, images):
        x, bias = self.placed(tokens(self, images)), self.bias()
        for block in self.blocks:
            x = block(x, bias)
        return self.norm(x)[:, 1:].mean(1)

    def forward(self, images, hidden, rows, labels):
        x = self.embed(images).flatten(2).transpose(1, 2)
        x = torch.where(hidden[..., None], self.mask.to(x.dtype), x)
        x = self.placed(torch.cat((self.cls.expand(len(x), -1, -1), x), 1))
        bias = self.bias()
        early = None
        for place, block in enumerate(self.blocks, 1):
            x = block(x, bias)
            if place == given["earlyLayer"]:
                early = x[:, 1:]
        mixed = torch.cat((x[:, :1], early), 1)
        for block in self.head:
            mixed = block(mixed, bias)
        return sum(F.cross_entropy(self.lm(self.norm(y[:, 1:].flatten(0, 1).index_select(0, rows))), labels) for y in (x, mixed))


class Vqkd(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, width, given["patch"], given["patch"])
        self.cls, self.positions = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(torch.zeros(1, patches + 1, width))
        self.encoder = nn.ModuleList([Block(0) for _ in range(depth)])
        self.down = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, code_width))
        self.up = nn.Conv2d(code_width, width, 1)
        self.decoder_cls = nn.Parameter(torch.zeros(1, 1, width))
        self.decoder_positions = nn.Parameter(torch.zeros(1, patches + 1, width))
        self.decoder = nn.ModuleList([Block(0) for _ in range(given["decoderDepth"])])
        self.norms = nn.ModuleList([nn.LayerNorm(width, 1e-6) for _ in range(2)])
        self.out = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, teacher))
        self.register_buffer("book", F.normalize(torch.randn(codes, code_width), dim=-1))
        self.register_buffer("counts", torch.zeros(codes))

    def unit(self, images):
        x = tokens(self, 2 * images - 1) + self.positions
        for block in self.encoder:
            x = block(x)
        return F.normalize(self.down(self.norms[0](x[:, 1:])).float(), dim=-1)

    def codes(self, images):
        return (self.unit(images) @ self.book.T).argmax(-1)

    def forward(self, images, targets):
        z = self.unit(images)
        flat = z.reshape(-1, code_width)
        with torch.no_grad():
            chosen = (flat @ self.book.T).argmax(-1)
            hot = F.one_hot(chosen, codes).type(flat.dtype)
            bins = hot.sum(0)
            self.counts.mul_(0.99).add_(bins, alpha=0.01)
            sums = flat.T @ hot
            moved = F.normalize((sums / bins.clamp(min=1)).T, dim=-1)
            moved = torch.where((bins == 0)[:, None], self.book, moved)
            picked = self.book[chosen].reshape(z.shape)
            self.book.copy_(F.normalize(self.book * 0.99 + moved * 0.01, dim=-1))
        commitment = F.mse_loss(z, picked)
        x = z + (picked - z).detach()
        x = self.up(x.transpose(1, 2).reshape(len(x), code_width, side, side)).flatten(2).transpose(1, 2)
        x = torch.cat((self.decoder_cls.expand(len(x), -1, -1), x), 1) + self.decoder_positions
        for block in self.decoder:
            x = block(x)
        y = self.out(self.norms[1](x[:, 1:]))
        return (1 - F.cosine_similarity(y.float(), targets, dim=-1)).mean() + commitment


MASK = 0xFFFFFFFF
BOUND = 0.035
RENAMED = {
    "mim": (
        (r"^embed", "patch_embed.proj"),
        (r"^cls$", "cls_token"),
        (r"^mask$", "mask_token"),
        (r"^positions$", "pos_embed"),
        (r"^table$", "rel_pos_bias.relative_position_bias_table"),
        (r"^head", "cls_pt_layers"),
        (r"^lm", "lm_head"),
    ),
    "vqkd": (
        (r"^(encoder|decoder)\.", r"\1.blocks."),
        (r"^embed", "encoder.patch_embed.proj"),
        (r"^cls$", "encoder.cls_token"),
        (r"^positions$", "encoder.pos_embed"),
        (r"^down", "encode_task_layer"),
        (r"^up", "decoder.patch_embed.proj"),
        (r"^decoder_cls$", "decoder.cls_token"),
        (r"^decoder_positions$", "decoder.pos_embed"),
        (r"^norms\.0", "encoder.fc_norm"),
        (r"^norms\.1", "decoder.fc_norm"),
        (r"^out", "decode_task_layer"),
    ),
}
IN_BLOCKS = (
    (r"\.(qkv|q_bias|v_bias|proj)\b(?=\.|$)", r".attn.\1"),
    (r"\.(fc1|fc2)\.", r".mlp.\1."),
    (r"\.gammas\.0$", ".gamma_1"),
    (r"\.gammas\.1$", ".gamma_2"),
)


def official(name):
    for old, new in (*RENAMED[network], *(IN_BLOCKS if re.search(r"\.\d+\.", name) else ())):
        name = re.sub(old, new, name)
    return name


def bits(name, size):
    """24 bits for each place, as `same.ts` makes them."""
    h = 0x811C9DC5
    for byte in name.encode():
        h = ((h ^ byte) * 0x01000193) & MASK
    h = (h + torch.arange(size, device=device) * 0x9E3779B1) & MASK
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & MASK
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & MASK
    return (h ^ (h >> 16)) >> 8


def filled(name, shape, low, high):
    return (low + bits(name, math.prod(shape)).double() / 2**24 * (high - low)).float().reshape(shape)


def start(model):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            name = official(name)
            if parameter.dim() > 1:
                parameter.copy_(filled(name, parameter.shape, -BOUND, BOUND))
            elif name.endswith("bias"):
                parameter.zero_()
        if network == "vqkd":
            book = filled("quantize.embedding.weight", model.book.shape, -1, 1).double()
            model.book.copy_(book / book.norm(dim=-1, keepdim=True))
    return model


def wait():
    if device == "cuda":
        torch.cuda.synchronize()


def clocked(run):
    wait()
    start = time.perf_counter()
    found = run()
    wait()
    return time.perf_counter() - start, found


def ahead(step, times, least):
    """Seconds between steps. The result of a step is read when the next has begun, as our engines do."""
    waiting = step()
    found = []
    last = time.perf_counter()
    end = last + least
    while len(found) <= times or last < end:
        following = step()
        waiting.tolist()
        waiting = following
        found.append(time.perf_counter() - last)
        last += found[-1]
    waiting.tolist()
    return sorted(found[1:])


def timed(run, times, warm_up, least=0):
    for _ in range(warm_up):
        run()
    found = []
    end = time.perf_counter() + least
    while len(found) < times or time.perf_counter() < end:
        found.append(clocked(run)[0])
    return sorted(found)


def middle(times):
    return times[len(times) // 2]


def product(rows, inner, columns):
    x = torch.randn(rows, inner, dtype=dtype)
    layers = [torch.randn(columns, inner, dtype=dtype) for _ in range(8)]

    def run():
        for layer in layers:
            F.linear(x, layer)

    return 2 * rows * inner * columns * len(layers) / middle(timed(run, 9, 2, 1)) / 1e9


def compiler():
    """The C++ compiler that torch.compile uses, and its version."""
    from torch._inductor import cpp_builder, exc

    try:
        found = cpp_builder.get_cpp_compiler()
    except exc.InvalidCxxCompiler:
        print("torch.compile finds no C++ compiler: install g++ or clang++, or name one by CXX", file=sys.stderr)
        sys.exit(69)
    return subprocess.check_output([found, "--version"], text=True).splitlines()[0]


dtype = torch.bfloat16 if given["precision"] == "bf16" else torch.float32
stage = given["stage"]
network = "mim" if stage in ("mim", "features") else "vqkd"
model = start((Mim() if network == "mim" else Vqkd()).to(device))
images = filled("images", (batch, 3, given["image"], given["image"]), -1 if network == "mim" else 0, 1)
if stage == "mim":
    place = torch.arange(patches, device=device) * 37 + torch.arange(batch, device=device)[:, None] * 11
    hidden = place % patches < given["masked"]
    rows = hidden.flatten().nonzero().squeeze(1)
    inputs = (images, hidden, rows, bits("labels", len(rows)) % codes)
elif stage == "vqkd":
    inputs = (images, filled("targets", (batch, patches, teacher), -1, 1))
else:
    inputs = (images,)
if device == "cuda":
    inputs = tuple(one.cpu().pin_memory() for one in inputs)
del images
mode = given.get("compile") or None
tools = [torch.__version__, *([compiler()] if mode and device == "cpu" else [])]
fast = (lambda call: torch.compile(call, mode=mode)) if mode else (lambda call: call)
autocast = lambda: torch.autocast(device, torch.bfloat16, enabled=dtype == torch.bfloat16)


def sent():
    return (one.to(device, non_blocking=True) for one in inputs)


def training():
    forward = fast(model)
    adamw = given["adamw"]
    apart = [[], []]
    for name, parameter in model.named_parameters():
        decays = parameter.dim() > 1 and not official(name).endswith(("cls_token", "pos_embed"))
        apart[decays].append(parameter)
    groups = [{"params": apart[0], "weight_decay": 0}, {"params": apart[1], "weight_decay": adamw["weightDecay"]}]
    optimizer = torch.optim.AdamW(groups, adamw["lr"], betas=adamw["betas"], eps=adamw["eps"], fused=True)

    def step():
        with autocast():
            loss = forward(*sent())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), adamw["clipNorm"] or math.inf)
        optimizer.step()
        # A compiled step may write its next loss over this one.
        return loss.detach().clone()

    return step


def inference():
    use = fast(getattr(model.eval(), stage))

    def step():
        with torch.inference_mode(), autocast():
            return use(*sent()).cpu()

    return step


def memory():
    if device == "cpu":
        return {}
    allocated, reserved = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    return {"mebibytes": {"peak": round(allocated / 2**20), "reserved": round(reserved / 2**20)}}


WARM_UP = 5
NUMBERS = 1024
opened = time.perf_counter()
step = training() if stage in ("mim", "vqkd") else inference()
first, found = clocked(step)
found = [found, *(step() for _ in range(WARM_UP - 1))]
if stage in ("mim", "vqkd"):
    shown = {"losses": [loss.item() for loss in found]}
else:
    shown = {"output": found[0].flatten()[:NUMBERS].tolist()}
del found
take = ahead if stage in ("mim", "vqkd") else lambda step, times, least: timed(step, times, 0, least)
times = take(step, given["steps"], given.get("seconds", 0))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
held = memory()


def rate():
    """The rate of the step's three largest products."""
    height = batch * (patches + 1)
    shapes = [(height, width, given["hidden"]), (height, given["hidden"], width), (height, width, 3 * width)]
    work = [a * b * c for a, b, c in shapes]
    return sum(work) / sum(share / product(*shape) for share, shape in zip(work, shapes))


print(
    json.dumps(
        {
            "engine": f"PyTorch, {torch.cuda.get_device_name()}" if device == "cuda" else f"PyTorch, {given['threads']} threads",
            "version": ", ".join(tools),
            "stepMs": {
                "median": 1000 * middle(times),
                "least": 1000 * times[0],
                "most": 1000 * times[-1],
                "quarter": 1000 * times[len(times) // 4],
                "threeQuarters": 1000 * times[3 * len(times) // 4],
                "steps": len(times),
            },
            "imagesPerSecond": batch / middle(times),
            "seconds": {"start": opened - began, "open": 0, "first": first},
            **shown,
            **held,
            **({} if device == "cuda" else {"matmulGigaflopsPerSecond": rate()}),
            "peakMegabytes": round(peak),
        }
    )
)
