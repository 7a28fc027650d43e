"""The kinds of camera files that are written, told by names. Needs no PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

CameraKind = Literal["nerfstudio", "transforms", "supersplat", "tum", "colmap", "blender", "usd"]
KINDS: dict[CameraKind, str] = {
    "nerfstudio": "camera_path.json, which nerfstudio's viewer loads",
    "transforms": "transforms.json",
    "supersplat": "settings of the SuperSplat viewer: the first view, and the film as its animation (named *.supersplat.json)",
    "tum": "a TUM trajectory, .txt",
    "colmap": "a folder with a COLMAP model in text",
    "blender": "a script for Blender, .py",
    "usd": "an OpenUSD camera, .usda",
}
BY_SUFFIX: dict[str, CameraKind] = {".json": "nerfstudio", ".txt": "tum", ".py": "blender", ".usda": "usd", "": "colmap"}


def kind_of(file: str | Path) -> CameraKind:
    """The kind that a name stands for.

    Raises:
        ValueError: it stands for none.
    """
    file = Path(file)
    if file.name.lower() == "transforms.json":
        return "transforms"
    if file.name.lower().endswith(".supersplat.json"):
        return "supersplat"
    if file.suffix.lower() not in BY_SUFFIX:
        described = "; ".join(KINDS.values())
        raise ValueError(f"{file}: it is not known which cameras such a file holds; expected one of: {described}")
    return BY_SUFFIX[file.suffix.lower()]
