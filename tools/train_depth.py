"""Trains the embedded depth model on rendered frames; resumes from its last checkpoint.

python tools/train_depth.py --frames frames clips --out runs/depth --minutes 60 --start assets/models/depth-small
python tools/train_depth.py --out runs/depth --export assets/models/depth-small

On a GPU, from one file that tools/pack_frames.py wrote, with everything unfrozen:

python tools/train_depth.py --pack frames.zip --out runs/depth --device cuda --minutes 8 --batch 48 --workers 14 \
    --frozen-blocks 0 --bfloat16 --start assets/models/depth-small
"""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from splatmem.depth.embedded.network import SmallDepthConfig, SmallDepthForDepthEstimation
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from depth_crops import DETAIL, WHOLE, Look, batches
from depth_frames import HELD_OUT_SCENES, FrameFolders, Frames, unpack
from depth_loss import depth_loss

SAVE_SECONDS = 240
PIECE_BYTES = 16_000_000
SHIPPED = {"mirrored": True, "sharpening": 1, "detail_share": 0.125}
"""How an exported model looks at pictures; chosen on validation rooms and on eight of tools/measure_stereo.py's pairs."""


@dataclass
class Options:
    frames: tuple[Path, ...] = (Path("frames"),)
    """Folders of .npz files by tools/render_frames.py and tools/render_rooms.py; they may still be growing. The first scenes of
    each kind are held out."""
    pack: Path | None = None
    """A file by tools/pack_frames.py instead."""
    out: Path = Path("runs/depth")
    minutes: float = 60
    """Time budget, over all resumed runs; the learning rate falls as a cosine over its last 60 %."""
    batch: int = 8
    """Whole pictures in a step; parts of pictures come in batches of half of it, in turn."""
    learning_rate: float = 6e-4
    threads: int = 1
    device: str = "cpu"
    workers: int = 0
    """Processes that prepare batches; 0 prepares them in between."""
    views: int = 16
    """Most frames taken from each file."""
    bfloat16: bool = False
    """Convolutions in bfloat16: faster on GPUs and where the processor has instructions for it."""
    frozen_blocks: int = 5
    """The encoder's first blocks keep their weights: they are generic, and most of the time would go there."""
    upsampling: Literal["bilinear", "convex"] = "convex"
    encoder: Path | None = None
    """ImageNet weights of EfficientNet-Lite0 (.pth) to start from."""
    start: Path | None = None
    """An exported model to go on from instead."""
    seed: int = 0
    export: Path | None = None
    """Write the averaged weights as a transformers folder and stop."""
    keep: float = 0.0
    """Share of --start in the exported weights: what was known before is forgotten less (WiSE-FT, Wortsman et al. 2022)."""
    pieces: bool = False
    """Also write the exported weights as pieces of at most 16 MB, to be put together by ``cat``."""


def load_frames(options: Options) -> tuple[Frames, Frames, FrameFolders | None]:
    """Training and held-out frames, and the folders if they may still grow."""
    if options.pack is not None:
        training, held_out = unpack(options.pack)
        folders = None
    else:
        folders = FrameFolders(options.frames, options.views)
        folders.read()
        training, held_out = folders.training, folders.held_out
    if not (len(training) and len(held_out)):
        names = ", ".join(str(folder) for folder in options.frames) if folders else str(options.pack)
        raise ValueError(
            f"{names}: expected frames of more than {HELD_OUT_SCENES} scenes of one kind, of which so many are held out, got "
            f"{len(training)} frames to train on and {len(held_out)} held out: render more with tools/render_frames.py"
        )
    return training, held_out, folders


class Stream(IterableDataset):
    """Batches of one look, endless; every worker has its own random numbers."""

    def __init__(self, frames: Frames, look: Look, size: int, seed: tuple[int, ...]) -> None:
        self.frames, self.look, self.size, self.seed = frames, look, size, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        worker = get_worker_info()
        torch.manual_seed(sum(self.seed) + (worker.id if worker else 0))
        return batches(self.frames, self.look, self.size, np.random.default_rng([*self.seed, worker.id if worker else 0]))


@torch.no_grad()
def validate(model: SmallDepthForDepthEstimation, frames: Frames, limit: int = 24) -> dict[str, tuple[float, float]]:
    """AbsRel and delta1 after the best scale on up to ``limit`` held-out frames of each kind."""
    device = next(model.parameters()).device
    results = {}
    for kind, parts in sorted(frames.by_kind.items()):
        pairs = [(rgb[i], depth_mm[i]) for rgb, depth_mm in parts for i in range(len(rgb))]
        errors, hits = [], []
        for rgb, depth_mm in pairs[:: max(1, len(pairs) // limit)]:
            x = torch.from_numpy(rgb).permute(2, 0, 1)[None].float().to(device) / 127.5 - 1
            predicted = model(x).predicted_depth[0].log().cpu()
            depth = torch.from_numpy(depth_mm.astype(np.float32)) / 1000
            near = depth > 0
            ratio = predicted[near] - depth[near].log()
            ratio = (ratio - ratio.median()).exp()
            errors.append((ratio - 1).abs().mean().item())
            hits.append(torch.maximum(ratio, 1 / ratio).lt(1.25).float().mean().item())
        results[kind] = (round(float(np.mean(errors)), 4), round(float(np.mean(hits)), 4))
    return results


def new_model(
    upsampling: str = "convex", encoder: Path | None = None, start: Path | None = None
) -> SmallDepthForDepthEstimation:
    """A model with random weights, or those of an encoder, or those of a whole model, whose way to enlarge may differ."""
    if start is not None:
        old = SmallDepthForDepthEstimation.from_pretrained(start, dtype=torch.float32)
        config = SmallDepthConfig(**{**old.config.to_dict(), "upsampling": upsampling, "dtype": None})
        model = SmallDepthForDepthEstimation(config)
        model.load_state_dict(old.state_dict(), strict=False)
        return model
    model = SmallDepthForDepthEstimation(SmallDepthConfig(upsampling=upsampling))
    if encoder is not None:
        weights = torch.load(encoder, weights_only=True, map_location="cpu")
        missing, _ = model.encoder.load_state_dict(weights, strict=False)
        if missing:
            raise ValueError(f"{encoder} lacks weights of EfficientNet-Lite0: {missing[:3]} ...")
    return model


def train(options: Options) -> None:
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    checkpoint = options.out / "checkpoint.pt"
    frames, held_out, folders = load_frames(options)
    device = torch.device(options.device)
    model = new_model(options.upsampling, options.encoder, options.start)
    model = model.to(device, memory_format=torch.channels_last).train()
    average = copy.deepcopy(model).requires_grad_(False).eval()
    if options.frozen_blocks:
        for block in (model.encoder._conv_stem, model.encoder._bn0, *model.encoder._blocks[: options.frozen_blocks]):
            block.requires_grad_(False)
    encoder = [p for p in model.encoder.parameters() if p.requires_grad]
    rest = [p for name, p in model.named_parameters() if not name.startswith("encoder.")]
    groups = [{"params": encoder, "peak": 0.25 * options.learning_rate}, {"params": rest, "peak": options.learning_rate}]
    optimizer = torch.optim.AdamW(groups, lr=options.learning_rate, weight_decay=0.01)
    # Batches are small: the encoder keeps the statistics of its pretraining.
    model.encoder.eval()
    step, spent = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["spent"]
    rng = np.random.default_rng([options.seed, step])
    looks = ((WHOLE, options.batch), (DETAIL, max(1, options.batch // 2)))
    streams = [Stream(frames, look, size, (options.seed, step, index)) for index, (look, size) in enumerate(looks)]
    sources = [iter(DataLoader(stream, batch_size=None, num_workers=options.workers // 2)) for stream in streams]
    print(f"{len(frames)} frames, {len(held_out)} held out", flush=True)
    started = last_save = time.monotonic()
    losses: list[float] = []
    budget = 60 * options.minutes
    while (elapsed := spent + time.monotonic() - started) < budget:
        progress = elapsed / budget
        fall = 1.0 if progress < 0.4 else 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (progress - 0.4) / 0.6))
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * min(1.0, (step + 1) / 100) * fall
        x, depth = (part.to(device, non_blocking=True) for part in next(sources[step % 2]))
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=options.bfloat16):
            x = x.contiguous(memory_format=torch.channels_last)
            if step % 2:
                log_depth, sky_logits = model.log_depth_and_sky(x)
            else:
                # What is finer than a reduced picture's half size is never used: a quarter of the pixels will do.
                log_depth, sky_logits = model.half_size_maps(x)[0].unbind(1)
                depth = depth[:, int(rng.integers(2)) :: 2, int(rng.integers(2)) :: 2]
        loss = depth_loss(log_depth.float(), sky_logits.float(), depth)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        blend = 1 - min(0.996, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), blend)
            for kept, seen in zip(average.buffers(), model.buffers(), strict=True):
                kept.copy_(kept.lerp(seen, blend) if kept.is_floating_point() else seen)
        losses.append(loss.item())
        if step % 50 == 0:
            print(f"step {step} {elapsed:.0f}s loss {np.mean(losses):.4f}", flush=True)
            losses.clear()
        if time.monotonic() - last_save > SAVE_SECONDS:
            save(checkpoint, model, average, optimizer, step, spent + time.monotonic() - started)
            if folders is not None and not options.workers:
                folders.read()
            print(f"step {step}, {len(frames)} frames, held out {validate(average, held_out, limit=8)}", flush=True)
            last_save = time.monotonic()
    save(checkpoint, model, average, optimizer, step, spent + time.monotonic() - started)
    print(f"step {step} held out {validate(average, held_out, limit=40)}", flush=True)


def save(path: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, step: int, spent: float) -> None:
    temporary = path.with_suffix(".tmp")
    states = {"model": model.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({**states, "step": step, "spent": spent}, temporary)
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
    before = SmallDepthForDepthEstimation.from_pretrained(options.start, dtype=torch.float32).state_dict()
    return {
        name: value.lerp(before[name], options.keep) if name in before and value.is_floating_point() else value
        for name, value in weights.items()
    }


def export(options: Options, folder: Path) -> None:
    from transformers import DPTImageProcessorPil

    state = torch.load(options.out / "checkpoint.pt", weights_only=True, map_location="cpu")
    model = new_model(options.upsampling)
    model.config.update(SHIPPED)
    model.load_state_dict(kept(state["average"], options))
    for refinement in model.refine:
        set_unit_variances(refinement)
    model.half()
    overflown = [name for name, value in model.state_dict().items() if not torch.isfinite(value).all()]
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
