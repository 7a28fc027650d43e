"""Trains the embedded inpainter on windows from ``prepare_windows.py``; resumes from its last checkpoint.

python tools/train_inpainter.py --windows windows --out runs/inpainter --seconds 3600
python tools/train_inpainter.py --out runs/inpainter --export assets/models/inpaint-small
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from splatmem.inpaint.embedded.network import KNOWN_PROVENANCE
from splatmem.inpaint.embedded.pipeline import RGBDInpaintPipeline, make_scheduler
from splatmem.inpaint.embedded.sampling import NOISE_SCALE, encode_depth, provenance_of
from splatmem.inpaint.embedded.unet import RGBDWindowUNet
from torch import Tensor


@dataclass
class Options:
    windows: Path = Path("windows")
    """Folder of shards; new ones are picked up while training. The first shard is held out."""
    out: Path = Path("runs/inpainter")
    """Folder of the checkpoint and the log."""
    seconds: float = 3600
    """Time budget, over all resumed runs; the learning rate falls over its last 40 %."""
    batch: int = 8
    learning_rate: float = 8e-4
    threads: int = 1
    channels: tuple[int, int, int] = (32, 80, 160)
    bfloat16: bool = False
    """Convolutions in bfloat16: faster where the processor has instructions for it."""
    start: Path | None = None
    """An exported pipeline folder to go on from."""
    seed: int = 0
    export: Path | None = None
    """Write the averaged weights as a diffusers pipeline folder and stop."""


class WindowSet:
    """All windows of the shards in memory as compact tensors."""

    def __init__(self, folder: Path, held_out: bool) -> None:
        self.folder, self.held_out = folder, held_out
        self.files: list[Path] = []
        self.data: dict[str, Tensor] = {}

    def refresh(self) -> None:
        every = sorted(self.folder.glob("shard_*.npz"))
        wanted = every[:1] if self.held_out else every[1:]
        for file in [f for f in wanted if f not in self.files]:
            with np.load(file) as shard:
                fresh = {key: torch.from_numpy(shard[key]) for key in shard.files}
            self.data = {k: torch.cat([self.data[k], v]) if k in self.data else v for k, v in fresh.items()}
            self.files.append(file)

    def __len__(self) -> int:
        return len(self.data["depth"]) if self.data else 0

    def batch(self, index: Tensor) -> Batch:
        return Batch.from_arrays({k: v[index] for k, v in self.data.items()})


@dataclass
class Batch:
    """Network inputs and targets, ``[b, t, c, h, w]``."""

    clean: Tensor
    partial: Tensor
    provenance: Tensor
    proposal: Tensor
    geometry: Tensor

    @property
    def unknown(self) -> Tensor:
        return (self.provenance < KNOWN_PROVENANCE).float()

    @staticmethod
    def from_arrays(arrays: dict[str, Tensor]) -> Batch:
        proposal_depth = arrays["proposal_depth"].float()
        scale = proposal_depth.flatten(1).median(dim=1).values[:, None, None, None]

        def rgbd(rgb: Tensor, depth: Tensor) -> Tensor:
            colour = rgb.permute(0, 1, 4, 2, 3).float() / 127.5 - 1
            return torch.cat([colour, encode_depth(depth.float(), scale)[:, :, None]], dim=2)

        return Batch(
            clean=rgbd(arrays["rgb"], arrays["depth"]),
            partial=rgbd(arrays["partial_rgb"], arrays["partial_depth"]),
            provenance=provenance_of(arrays["known"], arrays["covered"]),
            proposal=rgbd(arrays["proposal_rgb"], proposal_depth),
            geometry=arrays["place"].permute(0, 1, 4, 2, 3).float() / 127,
        )

    def augmented(self, rng: np.random.Generator) -> Batch:
        """Mirrored, colours permuted and scaled, frames in reverse order: each at random, for the whole batch."""
        pictures = [self.clean, self.partial, self.proposal]
        provenance, geometry = self.provenance, self.geometry
        if rng.random() < 0.5:
            pictures, provenance, geometry = [p.flip(-1) for p in pictures], provenance.flip(-1), geometry.flip(-1)
            geometry = geometry * torch.tensor([-1.0, 1, 1, -1, 1, 1])[:, None, None]
        if rng.random() < 0.5:
            pictures, provenance, geometry = [p.flip(1) for p in pictures], provenance.flip(1), geometry.flip(1)
        if rng.random() < 0.3:
            order = [*rng.permutation(3).tolist(), 3]
            pictures = [p[:, :, order] for p in pictures]
        gain = torch.from_numpy(rng.uniform(0.75, 1.2, (len(provenance), 1, 3, 1, 1)).astype(np.float32))
        adjusted = []
        for picture in pictures:
            colour = ((picture[:, :, :3] + 1) * gain - 1).clamp(-1, 1)
            adjusted.append(torch.cat([colour, picture[:, :, 3:]], dim=2))
        return Batch(adjusted[0], adjusted[1], provenance, adjusted[2], geometry)


def loss_terms(model: RGBDWindowUNet, batch: Batch, sigma: Tensor, noise: Tensor, bfloat16: bool) -> tuple[Tensor, Tensor]:
    """Training loss, and the mean squared error of the unknown pixels for the log.

    The path from proposal plus noise to the clean window is straight (rectified flow, Liu et al. 2022), the model
    predicts its clean end; the loss is that of the velocity, capped near the clean end.
    """
    level = sigma[:, None, None, None, None]
    start = batch.proposal + NOISE_SCALE * noise
    noisy = (1 - level) * batch.clean + level * start
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        predicted = model(noisy, sigma, batch.proposal, batch.partial, batch.provenance, batch.geometry)
    unknown = batch.unknown
    error = (predicted - batch.clean) ** 2
    weight = unknown + 0.05 * (1 - unknown)
    loss = (weight * error / level.clamp_min(0.25) ** 2).sum() / (4 * weight.sum())
    # Edges and textures: the same on differences between neighbours, which plain squares neglect.
    for axis in (-1, -2):
        step = (predicted - batch.clean).diff(dim=axis)
        both = unknown.narrow(axis, 1, unknown.shape[axis] - 1)
        loss = loss + 0.5 * (both * step.abs()).sum() / (4 * both.sum().clamp_min(1))
    return loss, (unknown * error).sum() / (4 * unknown.sum().clamp_min(1))


@torch.no_grad()
def validate(model: RGBDWindowUNet, windows: WindowSet, limit: int = 48) -> dict[str, float]:
    """Errors on unknown pixels of held-out windows: colour PSNR and log depth, proposal against 1 and 4 steps."""
    pipeline = RGBDInpaintPipeline(model, make_scheduler())
    sums: dict[str, list[float]] = {}
    for first in range(0, min(limit, len(windows)), 8):
        batch = windows.batch(torch.arange(first, min(first + 8, len(windows))))
        unknown = batch.unknown
        candidates = {"proposal": batch.proposal}
        for steps in (1, 4):
            generator = torch.Generator().manual_seed(first)
            candidates[f"steps{steps}"] = pipeline.sample(
                batch.proposal, batch.partial, batch.provenance, batch.geometry, steps=steps, generator=generator
            )
        for name, picture in candidates.items():
            squares = (unknown * (picture - batch.clean) ** 2).sum((1, 3, 4)) / unknown.sum((1, 3, 4)).clamp_min(1)
            sums.setdefault(f"{name}_rgb", []).append(squares[:, :3].mean().item() / 4)
            sums.setdefault(f"{name}_depth", []).append(squares[:, 3].mean().item())
    means = {k: float(np.mean(v)) for k, v in sums.items()}
    return {k: round(-10 * math.log10(v) if k.endswith("rgb") else v**0.5, 4) for k, v in means.items()}


def train(options: Options) -> None:
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    checkpoint = options.out / "checkpoint.pt"
    if options.start is None:
        model = RGBDWindowUNet(channels=options.channels)
    else:
        model = RGBDWindowUNet.from_pretrained(options.start, subfolder="unet", torch_dtype=torch.float32)
    model = model.to(memory_format=torch.channels_last).train()
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    step, spent = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["spent"]
        rng = np.random.default_rng([options.seed, step])
    windows, held_out = WindowSet(options.windows, held_out=False), WindowSet(options.windows, held_out=True)
    windows.refresh()
    held_out.refresh()
    print(
        f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f}M parameters, {len(windows)} windows",
        flush=True,
    )
    started = last_save = last_refresh = time.monotonic()
    recent: list[tuple[float, float]] = []
    while (elapsed := spent + time.monotonic() - started) < options.seconds:
        progress = elapsed / options.seconds
        rate = options.learning_rate * min(1.0, (step + 1) / 200) * min(1.0, max(0.02, (1 - progress) / 0.4))
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = windows.batch(torch.from_numpy(rng.integers(len(windows), size=options.batch))).augmented(rng)
        # Sampling starts at sigma = 1 and few steps are taken, so the noisy end gets most of the training.
        sigma = torch.from_numpy(rng.beta(1.6, 0.9, options.batch).astype(np.float32)).clamp_min(0.02)
        sigma[rng.random(options.batch) < 0.25] = 1.0
        loss, error = loss_terms(model, batch, sigma, torch.randn_like(batch.clean), options.bfloat16)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        decay = min(0.999, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
        recent.append((loss.item(), error.item()))
        now = time.monotonic()
        if now - last_refresh > 60:
            windows.refresh()
            last_refresh = now
        if step % 100 == 0:
            means = np.mean(recent, axis=0)
            print(
                f"step {step} {elapsed:.0f}s loss {means[0]:.4f} error {means[1]:.4f} windows {len(windows)}",
                flush=True,
            )
            recent.clear()
        if now - last_save > 240:
            save(checkpoint, model, average, optimizer, step, spent + now - started)
            print(f"step {step} held out {validate(average, held_out)}", flush=True)
            last_save = time.monotonic()
    save(checkpoint, model, average, optimizer, step, spent + time.monotonic() - started)
    print(f"step {step} held out {validate(average, held_out, limit=400)}", flush=True)


def save(path: Path, model, average, optimizer, step: int, spent: float) -> None:
    temporary = path.with_suffix(".tmp")
    states = {
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    torch.save({**states, "step": step, "spent": spent, "channels": list(model.config.channels)}, temporary)
    temporary.replace(path)


def export(options: Options, folder: Path) -> None:
    state = torch.load(options.out / "checkpoint.pt", weights_only=True)
    model = RGBDWindowUNet(channels=tuple(state["channels"]))
    model.load_state_dict(state["average"])
    RGBDInpaintPipeline(model.half(), make_scheduler()).save_pretrained(folder, safe_serialization=True)
    print(f"step {state['step']} written to {folder}")


def main(options: Options) -> None:
    if options.export is not None:
        export(options, options.export)
    else:
        train(options)


if __name__ == "__main__":
    main(tyro.cli(Options))
