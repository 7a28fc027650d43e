"""A first look at a film: early, whole, and without an effect on what is made."""

from pathlib import Path

import numpy as np
from PIL import Image
from splatmem import assets
from splatmem.jobs.flyaround import flyaround

PHOTO = assets.path("photos/interior_table.jpg")
SMALL = {"photo": PHOTO, "frames": 8, "size": (96, 64), "path": "turn"}
PINK = np.array([237, 56, 140])


def test_it_is_there_early_and_changes_nothing(tmp_path: Path) -> None:
    told: list[Path] = []
    pink: list[float] = []

    def look(file: Path) -> None:
        told.append(file)

    def announce(stage: str, share: float) -> None:
        if told:
            with Image.open(told[0]) as picture:
                assert picture.size == (4 * 192, 2 * 128)
                distance = np.abs(np.asarray(picture.convert("RGB")).astype(int) - PINK).max(-1)
            pink.append(float((distance < 24).mean()))

    flyaround(None, announce, preview=look, out=tmp_path / "with", **SMALL)
    assert told == [tmp_path / "with.partial" / "preview.jpg"]
    assert pink[0] > 0.5, "most of a turn is unknown at first"
    assert pink[-1] < 0.1
    assert not any(tmp_path.rglob("preview.jpg"))

    flyaround(out=tmp_path / "without", **SMALL)
    for name in ("scene.ply", "video.mp4"):
        assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()
