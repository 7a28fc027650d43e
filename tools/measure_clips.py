"""A Fréchet distance between two sets of films, over the features of clips of 16 frames; FVD with I3D's weights of one's own.

    python tools/make_films.py out/validation/rooms/* out/validation/panoramas/* --frames 49 --size 128x72 --out out/clips
    python tools/measure_clips.py table out/clips [--features i3d_torchscript.pt]
    python tools/measure_clips.py pair --films out/ours/*/video.mp4 --truth out/truth/*.mp4

The table has a row for each method that tools/make_films.py filmed by, against the truth. The distance grows as films are
fewer, so that it says nothing by itself; how sure an order is, is told by leaving out one beginning after the other: in how
many of these sets the preset's own films (``ours``) are nearer to the truth than the method's.
"""

from __future__ import annotations

from pathlib import Path

import torch
import tyro
from splatmem.evaluation.clips import ClipFeatures, ClipNetwork, DescribesClips, clips_of, frechet_distance
from splatmem.evaluation.names import METHODS, OURS
from splatmem.io.video import read_video

from make_films import TRUTH


def described(film: Path, describe: DescribesClips) -> torch.Tensor:
    """The feature vectors of all clips of a film."""
    return describe(clips_of(torch.from_numpy(read_video(film)).float() / 255))


def network(features: Path | None) -> DescribesClips:
    return ClipFeatures() if features is None else ClipNetwork(features)


def pair(films: tuple[Path, ...], truth: tuple[Path, ...], features: Path | None = None) -> None:
    """Args:
    films, truth: the two sets.
    features: a network in TorchScript, called as StyleGAN-V's I3D is.
    """
    describe = network(features)
    one, other = (torch.cat([described(film, describe) for film in some]) for some in (films, truth))
    print(f"{describe.name}: {frechet_distance(one, other):.4f} ({len(one)} and {len(other)} clips of 16 frames)")


def table(folder: tyro.conf.Positional[Path], features: Path | None = None) -> None:
    """Args:
    folder: as tools/make_films.py leaves it; methods that lack a film that others have are refused.
    features: a network in TorchScript, called as StyleGAN-V's I3D is.
    """
    describe = network(features)
    names = sorted(path.parent.name for path in (folder / TRUTH).glob("*/video.mp4"))
    sets: dict[str, list[torch.Tensor]] = {}
    for method in (TRUTH, *METHODS):
        if (folder / method).is_dir():
            sets[method] = [described(folder / method / name / "video.mp4", describe) for name in names]

    def distance(method: str, left_out: int | None = None) -> float:
        kept = [index for index in range(len(names)) if index != left_out]
        return frechet_distance(*(torch.cat([sets[which][index] for index in kept]) for which in (method, TRUTH)))

    without = {method: [distance(method, index) for index in range(len(names))] for method in sets if method != TRUTH}
    clips = sum(len(film) for film in sets[TRUTH])
    print(
        f"| {len(names)} films each | {describe.name}, {clips} clips | {OURS} nearer, of {len(names)} sets with one left out |"
    )
    print("|---|---|---|")
    for method, distances in without.items():
        nearer = sum(ours < other for ours, other in zip(without.get(OURS, []), distances, strict=False))
        print(f"| `{method}` | {distance(method):.1f} | {'' if method == OURS else nearer} |", flush=True)


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict({"table": table, "pair": pair})
