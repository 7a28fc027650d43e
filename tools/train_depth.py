"""Trains the embedded depth model on the frames of rendered clips; resumes from its last checkpoint.

python tools/train_depth.py --clips clips --out runs/depth --seconds 3600 --encoder efficientnet_lite0.pth
python tools/train_depth.py --out runs/depth --export assets/models/depth-small
"""

from __future__ import annotations

import copy
import io
import math
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from PIL import Image
from splatmem.depth.embedded.network import SmallDepthConfig, SmallDepthForDepthEstimation
from torch import Tensor, nn

HELD_OUT_ROOMS = 24
WHOLE = (144, 216)  # height and width at which a picture's structure is learnt: most of the picture, reduced
DETAIL = (192, 288)  # and its detail: a part of the picture at about its own size
WHOLE_SHARE, DETAIL_SHARE = (0.65, 1.0), (0.6, 0.9)  # of the picture's height
FROZEN_BLOCKS = 5  # of the encoder: its generic first layers, where most of the time would go
MIN_DEPTH, MAX_DEPTH = 0.1, 60.0
GRADIENT_WEIGHT = 0.4


@dataclass
class Options:
    clips: Path = Path("clips")
    """Folder of clip .npz files; the first rooms are held out."""
    out: Path = Path("runs/depth")
    seconds: float = 3600
    """Time budget, over all resumed runs; the learning rate falls as a cosine over its last half."""
    batch: int = 8
    learning_rate: float = 1e-3
    threads: int = 1
    views: int = 4
    """Views taken from each clip."""
    bfloat16: bool = False
    """Convolutions in bfloat16: faster where the processor has instructions for it."""
    encoder: Path | None = None
    """ImageNet weights of EfficientNet-Lite0 (.pth) to start from."""
    start: Path | None = None
    """An exported model to go on from instead."""
    seed: int = 0
    export: Path | None = None
    """Write the averaged weights as a transformers folder and stop."""


def load_frames(options: Options) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Training and held-out frames: rgb uint8 ``[n, h, w, 3]`` and depth in millimetres ``[n, h, w]``, 0 = sky."""
    files = sorted(options.clips.glob("*.npz"))
    rooms = sorted({f.stem.split("_")[0] for f in files})
    held_out = set(rooms[:HELD_OUT_ROOMS])
    parts: dict[bool, list[tuple[np.ndarray, np.ndarray]]] = {True: [], False: []}
    for file in files:
        try:
            with np.load(file) as clip:
                count = len(clip["rgb"])
                index = [round(i * count / options.views) for i in range(options.views)]
                frames = clip["rgb"][index], clip["depth_mm"][index]
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            print(f"skipped {file.name}: {error}")
            continue
        parts[file.stem.split("_")[0] in held_out].append(frames)

    if not (parts[False] and parts[True]):
        raise ValueError(
            f"{options.clips}: expected clips of more than {HELD_OUT_ROOMS} rooms, of which so many are held out, "
            f"got {len(rooms)}: render more with tools/render_rooms.py"
        )

    def stacked(chosen: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Tensor]:
        rgb, depth = (np.concatenate(arrays) for arrays in zip(*chosen, strict=True))
        return {"rgb": torch.from_numpy(rgb), "depth": torch.from_numpy(depth.astype(np.int32))}

    return stacked(parts[False]), stacked(parts[True])


def augmented_batch(
    frames: dict[str, Tensor], size: int, rng: np.random.Generator, crop: tuple[int, int], share: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Random crops, mirrored, with photographic damage: rgb -1..1 ``[b, 3, h, w]``, depth in metres with 0 = sky.

    Args:
        crop: height and width that the crops are brought to.
        share: smallest and largest height of a crop before, relative to the picture's.
    """
    pictures, depths = [], []
    for index in rng.integers(len(frames["rgb"]), size=size):
        rgb, depth = frames["rgb"][index], frames["depth"][index].float() / 1000
        height, width = depth.shape
        crop_height = int(height * rng.uniform(*share))
        crop_width = min(width, int(crop_height * rng.uniform(1.2, 1.78)))
        top, left = rng.integers(height - crop_height + 1), rng.integers(width - crop_width + 1)
        window = (slice(top, top + crop_height), slice(left, left + crop_width))
        picture = Image.fromarray(rgb[window].numpy()).resize(crop[::-1], Image.Resampling.BICUBIC)
        if rng.random() < 0.4:
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=int(rng.integers(30, 90)))
            picture = Image.open(buffer)
        pictures.append(torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255)
        depths.append(F.interpolate(depth[window][None, None], size=crop, mode="nearest")[0, 0])
    x, depth = torch.stack(pictures), torch.stack(depths)
    if rng.random() < 0.5:
        x, depth = x.flip(-1), depth.flip(-1)
    x = x ** torch.from_numpy(rng.uniform(0.6, 1.6, (size, 1, 1, 1)).astype(np.float32))
    x = x * torch.from_numpy(rng.uniform(0.7, 1.25, (size, 3, 1, 1)).astype(np.float32))
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * torch.from_numpy(rng.uniform(0.2, 1.6, (size, 1, 1, 1)).astype(np.float32))
    if rng.random() < 0.3:
        x = F.avg_pool2d(x, 3, 1, 1)
    x = x + torch.randn_like(x) * float(rng.uniform(0, 0.04))
    return x.clamp(0, 1) * 2 - 1, depth


def depth_loss(log_depth: Tensor, sky_logits: Tensor, depth: Tensor) -> Tensor:
    """Scale-invariant log error (Eigen et al. 2014), multi-scale gradients (MegaDepth, Li & Snavely 2018), and sky."""
    sky = depth <= 0
    weight = (~sky).float()
    error = (log_depth - depth.clamp(MIN_DEPTH, MAX_DEPTH).log()) * weight
    count = weight.sum((1, 2)).clamp_min(1)
    shift = error.sum((1, 2)) / count
    residual = (error - shift[:, None, None]) * weight
    loss = (residual.abs().sum((1, 2)) / count + 0.1 * shift.abs()).mean()
    for stride in (1, 2, 4, 8):
        part, valid = residual[:, ::stride, ::stride], weight[:, ::stride, ::stride]
        for axis in (1, 2):
            both = valid.narrow(axis, 1, valid.shape[axis] - 1) * valid.narrow(axis, 0, valid.shape[axis] - 1)
            loss = loss + GRADIENT_WEIGHT * (part.diff(dim=axis).abs() * both).sum() / both.sum().clamp_min(1)
    return loss + 0.1 * F.binary_cross_entropy_with_logits(sky_logits, sky.float())


@torch.no_grad()
def validate(model: SmallDepthForDepthEstimation, frames: dict[str, Tensor], limit: int = 96) -> dict[str, float]:
    """AbsRel and delta1 after the best scale, on held-out frames."""
    errors, hits = [], []
    every = max(1, len(frames["rgb"]) // limit)
    for rgb, depth in zip(frames["rgb"][::every], frames["depth"][::every].float() / 1000, strict=True):
        x = rgb.permute(2, 0, 1)[None].float() / 127.5 - 1
        predicted = model(x).predicted_depth[0].log()
        near = depth > 0
        ratio = predicted[near] - depth[near].log()
        ratio = (ratio - ratio.median()).exp()
        errors.append((ratio - 1).abs().mean().item())
        hits.append(torch.maximum(ratio, 1 / ratio).lt(1.25).float().mean().item())
    return {"abs_rel": round(float(np.mean(errors)), 4), "delta1": round(float(np.mean(hits)), 4)}


def new_model(encoder: Path | None, start: Path | None = None) -> SmallDepthForDepthEstimation:
    if start is not None:
        return SmallDepthForDepthEstimation.from_pretrained(start, dtype=torch.float32)
    model = SmallDepthForDepthEstimation(SmallDepthConfig())
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
    frames, held_out = load_frames(options)
    model = new_model(options.encoder, options.start).to(memory_format=torch.channels_last).train()
    average = copy.deepcopy(model).requires_grad_(False).eval()
    for block in (model.encoder._conv_stem, model.encoder._bn0, *model.encoder._blocks[:FROZEN_BLOCKS]):
        block.requires_grad_(False)
    encoder = [p for p in model.encoder.parameters() if p.requires_grad]
    rest = [p for name, p in model.named_parameters() if not name.startswith("encoder.")]
    groups = [{"params": encoder, "peak": 0.25 * options.learning_rate}, {"params": rest, "peak": options.learning_rate}]
    optimizer = torch.optim.AdamW(groups, lr=options.learning_rate, weight_decay=0.01)
    # Batches are small: the encoder keeps the statistics of its pretraining.
    model.encoder.eval()
    step, spent = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["spent"]
    rng = np.random.default_rng([options.seed, step])
    print(f"{len(frames['rgb'])} frames, {len(held_out['rgb'])} held out", flush=True)
    started = last_save = time.monotonic()
    losses: list[float] = []
    while (elapsed := spent + time.monotonic() - started) < options.seconds:
        progress = elapsed / options.seconds
        fall = 1.0 if progress < 0.5 else 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (progress - 0.5) / 0.5))
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * min(1.0, (step + 1) / 100) * fall
        if step % 2:
            x, depth = augmented_batch(frames, max(1, options.batch // 2), rng, DETAIL, DETAIL_SHARE)
        else:
            x, depth = augmented_batch(frames, options.batch, rng, WHOLE, WHOLE_SHARE)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bfloat16):
            log_depth, sky_logits = model.log_depth_and_sky(x.contiguous(memory_format=torch.channels_last))
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
        if time.monotonic() - last_save > 240:
            save(checkpoint, model, average, optimizer, step, spent + time.monotonic() - started)
            print(f"step {step} held out {validate(average, held_out)}", flush=True)
            last_save = time.monotonic()
    save(checkpoint, model, average, optimizer, step, spent + time.monotonic() - started)
    print(f"step {step} held out {validate(average, held_out, limit=400)}", flush=True)


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


def export(options: Options, folder: Path) -> None:
    from transformers import DPTImageProcessorPil

    state = torch.load(options.out / "checkpoint.pt", weights_only=True)
    model = new_model(None)
    model.load_state_dict(state["average"])
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
