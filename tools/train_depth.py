"""Trains the embedded depth model on rendered frames; resumes from its last checkpoint.

    python tools/train_depth.py --frames frames clips --out runs/depth --minutes 60 --start assets/models/depth-small
    python tools/train_depth.py --out runs/depth --export assets/models/depth-small

On a GPU, everything unfrozen, while other processes go on rendering into the folder:

    python tools/train_depth.py --frames frames --out runs/depth --device cuda --minutes 8 --batch 48 --frozen-blocks 0 \
        --bfloat16 --watch --start assets/models/depth-small --transformer vit-small-14.safetensors --labels 10
"""

from __future__ import annotations

import copy
import math
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from safetensors.torch import load_file
from splatmem.depth.embedded.pretrained import SmallDepthConfig, SmallDepthForDepthEstimation
from splatmem.depth.embedded.quantized import dequantized, quantize_linears
from torch import Tensor, nn

from depth_damage import damaged
from depth_frames import HELD_OUT_EVERY, FrameFolders, Frames, unpack
from depth_loss import depth_loss, label_loss
from depth_store import DETAIL, WHOLE, FrameStore

SAVE_SECONDS = 120
WATCH_SECONDS = 3
MIN_FRAMES = 100
"""A training that watches folders begins with so many."""
MAX_HELD_OUT = 40
"""Of each kind."""
PIECE_BYTES = 16_000_000
SHIPPED = {"mirrored": True, "upsampling": "convex", "tokens": 400, "smooth_surfaces": True}
"""How an exported model looks at pictures; chosen on validation rooms and on eight of tools/measure_stereo.py's pairs."""
TRANSFORMER = (384, 12)
"""Width and depth of DINOv2's small transformer."""
TOKENS = (400, 800)
"""Fewest and most tokens of a training picture."""


@dataclass
class Options:
    frames: tuple[Path, ...] = ()
    """Folders of .npz files by tools/render_frames.py and tools/render_rooms.py."""
    pack: tuple[Path, ...] = ()
    """Files by tools/pack_frames.py."""
    watch: bool = False
    """Take in frames that appear in the folders during the training."""
    capacity: int = 12_000
    """Most frames kept in the device's memory, 0.66 MB each at 384x288."""
    size: tuple[int, int] = (288, 384)
    """Height and width of the frames."""
    out: Path = Path("runs/depth")
    minutes: float = 60
    """Time budget, over all resumed runs; the learning rate falls as a cosine over its last 60 %."""
    batch: int = 8
    """Pictures in a step; whole ones and parts of pictures come in turn."""
    learning_rate: float = 6e-4
    """Of what is new; the encoder learns at a quarter of it, the transformer at a twentieth."""
    threads: int = 1
    device: str = "cpu"
    views: int = 16
    """Most frames taken from each file."""
    bfloat16: bool = False
    """Convolutions in bfloat16: faster on GPUs and where the processor has instructions for it."""
    frozen_blocks: int = 5
    """The encoder's first blocks keep their weights: they are generic, and on a CPU most of the time would go there."""
    upsampling: Literal["bilinear", "convex"] = "convex"
    encoder: Path | None = None
    """ImageNet weights of EfficientNet-Lite0 (.pth) to start from."""
    start: Path | None = None
    """An exported model to go on from instead."""
    transformer: Path | None = None
    """Weights of a vision transformer (.safetensors) to add to it, by tools/convert_transformer.py."""
    labels: int = 0
    """Number of classes to tell apart, of tools/rooms/labels.py; needs a transformer."""
    seed: int = 0
    export: Path | None = None
    """Write the averaged weights as a transformers folder and stop."""
    keep: float = 0.0
    """Share of --start in the exported weights: what was known before is forgotten less (WiSE-FT, Wortsman et al. 2022)."""
    pieces: bool = False
    """Also write the exported weights as pieces of at most 16 MB, to be put together by ``cat``."""


class Data:
    """Frames to train on, on the device, and held-out ones; takes in what is new in the folders."""

    def __init__(self, options: Options, device: torch.device) -> None:
        self.training = FrameStore(options.size, options.capacity, device)
        self.held_out: dict[str, list[Frames]] = {}
        self._folders = FrameFolders(options.frames, options.views)
        for pack in options.pack:
            for part in unpack(pack):
                self._add(part)
        self.read()

    def read(self) -> None:
        """Takes in what is new in the folders."""
        for part in self._folders.new():
            self._add(part)

    def _add(self, part: Frames) -> None:
        if not part.held_out:
            self.training.add(part.kind, part.rgb, part.depth_mm, part.labels)
        elif len(self.held_out.setdefault(part.kind, [])) < MAX_HELD_OUT:
            self.held_out[part.kind].append(part)

    def watch(self) -> None:
        """Goes on reading in a thread of its own, for as long as the process lives."""

        def again() -> None:
            while True:
                time.sleep(WATCH_SECONDS)
                self.read()

        threading.Thread(target=again, daemon=True).start()


def wait_for_frames(data: Data, options: Options) -> None:
    """Until there is enough to begin with.

    Raises:
        ValueError: there is not, and nothing more will come.
    """
    while len(data.training) < MIN_FRAMES and options.watch:
        time.sleep(1)
        data.read()
    if not len(data.training):
        names = ", ".join(str(path) for path in (*options.frames, *options.pack)) or "no --frames and no --pack"
        raise ValueError(
            f"{names}: expected frames of several scenes, of which every {HELD_OUT_EVERY}th is held out; got "
            "none to train on: render more with tools/render_frames.py"
        )


@torch.no_grad()
def validate(
    model: SmallDepthForDepthEstimation, held_out: dict[str, list[Frames]], limit: int = 24
) -> dict[str, tuple[float, float]]:
    """AbsRel and delta1 after the best scale on up to ``limit`` held-out frames of each kind."""
    device = next(model.parameters()).device
    results = {}
    for kind, parts in sorted(held_out.items()):
        pairs = [(part.rgb[i], part.depth_mm[i]) for part in parts for i in range(len(part.rgb))]
        errors, hits = [], []
        for rgb, depth_mm in pairs[:: max(1, len(pairs) // limit)]:
            x = torch.from_numpy(rgb).permute(2, 0, 1)[None].float().to(device) / 127.5 - 1
            predicted = model(x).predicted_depth[0].float().log().cpu()
            depth = torch.from_numpy(depth_mm.astype(np.float32)) / 1000
            near = depth > 0
            ratio = predicted[near] - depth[near].log()
            ratio = (ratio - ratio.median()).exp()
            errors.append((ratio - 1).abs().mean().item())
            hits.append(torch.maximum(ratio, 1 / ratio).lt(1.25).float().mean().item())
        results[kind] = (round(float(np.mean(errors)), 4), round(float(np.mean(hits)), 4))
    return results


def new_model(options: Options) -> SmallDepthForDepthEstimation:
    """A model with random weights, or those of encoders, or those of a whole model, to which parts may be added."""
    config: dict[str, object] = {"upsampling": options.upsampling, "labels": options.labels}
    if options.transformer is not None:
        config["transformer"] = TRANSFORMER
    if options.start is not None:
        start = {**SmallDepthConfig.from_pretrained(options.start).to_dict(), "dtype": None, "quantized": False}
        config = {**start, **config}
    model = SmallDepthForDepthEstimation(SmallDepthConfig(**config))
    if options.start is not None:
        # The folder may hold more than its configuration uses, such as the weights of the learnt upsampling.
        weights = {name: value.float() for name, value in dequantized(load_file(options.start / "model.safetensors")).items()}
        model.load_state_dict(weights, strict=False)
    elif options.encoder is not None:
        weights = torch.load(options.encoder, weights_only=True, map_location="cpu")
        missing, _ = model.encoder.load_state_dict(weights, strict=False)
        if missing:
            raise ValueError(f"{options.encoder} lacks weights of EfficientNet-Lite0: {missing[:3]} ...")
    if options.transformer is not None and model.stream is not None:
        weights = {name: value.float() for name, value in load_file(options.transformer).items()}
        model.stream.transformer.load_state_dict(weights)
    return model


def parameter_groups(model: SmallDepthForDepthEstimation, learning_rate: float) -> list[dict]:
    """Pretrained parts learn more slowly; biases, norms and other vectors are not decayed."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        share = 0.25 if name.startswith("encoder.") else 0.05 if name.startswith("stream.transformer.") else 1.0
        decay = 0.01 if parameter.ndim > 1 else 0.0
        groups.setdefault((share, decay), []).append(parameter)
    return [
        {"params": parameters, "peak": share * learning_rate, "weight_decay": decay}
        for (share, decay), parameters in groups.items()
    ]


def train(options: Options) -> None:
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    checkpoint = options.out / "checkpoint.pt"
    device = torch.device(options.device)
    model = new_model(options).to(device, memory_format=torch.channels_last).train()
    average = copy.deepcopy(model).requires_grad_(False).eval()
    if options.frozen_blocks:
        for block in (model.encoder._conv_stem, model.encoder._bn0, *model.encoder._blocks[: options.frozen_blocks]):
            block.requires_grad_(False)
    optimizer = torch.optim.AdamW(parameter_groups(model, options.learning_rate), lr=options.learning_rate)
    # Batches are small: the encoder keeps the statistics of its pretraining.
    model.encoder.eval()
    step, spent = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["spent"]
    data = Data(options, device)
    wait_for_frames(data, options)
    if options.watch:
        data.watch()
    rng = np.random.default_rng([options.seed, step])
    print(f"frames {data.training.counts()}", flush=True)
    started = last_save = time.monotonic()
    losses: list[Tensor] = []
    budget = 60 * options.minutes
    while (elapsed := spent + time.monotonic() - started) < budget:
        progress = elapsed / budget
        fall = 1.0 if progress < 0.4 else 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (progress - 0.4) / 0.6))
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * min(1.0, (step + 1) / 200) * fall
        batch = data.training.draw(DETAIL if step % 3 == 2 else WHOLE, options.batch, rng)
        x = (damaged(batch.rgb, rng) * 2 - 1).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=options.bfloat16):
            added = model.token_maps(x, int(rng.integers(*TOKENS)))
            log_depth, sky_logits = model.log_depth_and_sky(x, added)
        loss = depth_loss(log_depth.float(), sky_logits.float(), batch.depth)
        if added is not None and added.label_logits is not None:
            loss = loss + label_loss(added.label_logits.float(), batch.labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        blend = 1 - min(0.998, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), blend)
            for kept, seen in zip(average.buffers(), model.buffers(), strict=True):
                kept.copy_(kept.lerp(seen, blend) if kept.is_floating_point() else seen)
        losses.append(loss.detach())
        if step % 100 == 0:
            print(f"step {step} {elapsed:.0f}s loss {torch.stack(losses).mean().item():.4f}", flush=True)
            losses.clear()
        if time.monotonic() - last_save > SAVE_SECONDS:
            save(checkpoint, model, average, optimizer, step, spent + time.monotonic() - started)
            print(f"step {step}, {data.training.counts()}, held out {validate(average, data.held_out, limit=8)}", flush=True)
            last_save = time.monotonic()
    save(checkpoint, model, average, optimizer, step, spent + time.monotonic() - started)
    print(f"step {step}, {data.training.counts()}, held out {validate(average, data.held_out, limit=40)}", flush=True)


def save(
    path: Path,
    model: SmallDepthForDepthEstimation,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    spent: float,
) -> None:
    temporary = path.with_suffix(".tmp")
    states = {"model": model.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({**states, "config": model.config.to_dict(), "step": step, "spent": spent}, temporary)
    temporary.replace(path)


@torch.no_grad()
def set_unit_variances(layers: nn.Sequential) -> None:
    """Rescales convolutions so that the norms behind them see variances of 1; the result stays the same.

    Variances of features at stride 32 exceed the largest half-precision number.
    """
    for convolution, norm in zip(layers, list(layers)[1:], strict=False):
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = (norm.running_var + norm.eps).rsqrt()
            convolution.weight *= scale[:, None, None, None]
            norm.running_mean *= scale
            norm.running_var.fill_(1 - norm.eps)


def kept(weights: dict[str, Tensor], options: Options) -> dict[str, Tensor]:
    """Weights between those of the training and those that it began with; what is new in this model stays as it is."""
    if options.keep == 0:
        return weights
    if options.start is None:
        raise ValueError(f"--keep {options.keep} needs --start: the model that the training began with")
    before = dequantized(SmallDepthForDepthEstimation.from_pretrained(options.start, dtype=torch.float32).state_dict())
    return {
        name: value.lerp(before[name], options.keep) if name in before and value.is_floating_point() else value
        for name, value in weights.items()
    }


def export(options: Options, folder: Path) -> None:
    from transformers import DPTImageProcessorPil

    state = torch.load(options.out / "checkpoint.pt", weights_only=True, map_location="cpu")
    model = SmallDepthForDepthEstimation(SmallDepthConfig(**{**state["config"], "dtype": None, **SHIPPED}))
    unused = model.load_state_dict(kept(state["average"], options), strict=False)
    if unused.missing_keys or any(not name.startswith("enlarge.") for name in unused.unexpected_keys):
        raise ValueError(
            f"{options.out}: these weights do not fit: {unused.missing_keys} missing, {unused.unexpected_keys} left"
        )
    for refinement in model.refine:
        set_unit_variances(refinement)
    if model.stream is not None:
        quantize_linears(model.stream.transformer.blocks)
        model.config.quantized = True
    model.half()
    overflown = [name for name, v in model.state_dict().items() if v.is_floating_point() and not torch.isfinite(v).all()]
    if overflown:
        raise ValueError(f"half precision cannot hold these weights: {', '.join(overflown)}")
    model.save_pretrained(folder)
    processor = DPTImageProcessorPil(
        size={"height": 288, "width": 288}, keep_aspect_ratio=True, ensure_multiple_of=32, resample=3,
        do_rescale=True, rescale_factor=1 / 255, do_normalize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3,
    )  # fmt: skip
    processor.save_pretrained(folder)
    print(f"step {state['step']} written to {folder}")
    if options.pieces:
        content = (folder / "model.safetensors").read_bytes()
        for index, begin in enumerate(range(0, len(content), PIECE_BYTES)):
            (folder / f"model.safetensors.{index:02d}").write_bytes(content[begin : begin + PIECE_BYTES])


def main(options: Options) -> None:
    if options.export is not None:
        export(options, options.export)
    else:
        train(options)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except (ValueError, OSError) as error:
        sys.exit(f"train_depth: {error}")
