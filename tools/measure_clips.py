"""A Fréchet distance between two sets of films, over the features of clips of 16 frames; FVD with I3D's weights of one's own.

python tools/measure_clips.py --films out/ours/*/video.mp4 --truth out/truth/*.mp4 [--features i3d_torchscript.pt]
"""

from __future__ import annotations

from pathlib import Path

import torch
import tyro
from splatmem.evaluation.clips import ClipFeatures, ClipNetwork, DescribesClips, clips_of, frechet_distance
from splatmem.io.video import read_video


def described(films: tuple[Path, ...], describe: DescribesClips) -> torch.Tensor:
    """The feature vectors of all clips of films."""
    return torch.cat([describe(clips_of(torch.from_numpy(read_video(film)).float() / 255)) for film in films])


def main(films: tuple[Path, ...], truth: tuple[Path, ...], features: Path | None = None) -> None:
    """Args:
    films, truth: the two sets.
    features: a network in TorchScript, called as StyleGAN-V's I3D is.
    """
    describe: DescribesClips = ClipFeatures() if features is None else ClipNetwork(features)
    one, other = described(films, describe), described(truth, describe)
    print(f"{describe.name}: {frechet_distance(one, other):.4f} ({len(one)} and {len(other)} clips of 16 frames)")


if __name__ == "__main__":
    tyro.cli(main)
