"""Films that a worker really makes: the same bytes as from ``flyaround``, whatever was made before, and interrupted or not."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from splatmem.batch.films import FilmMaker, thumbnail
from splatmem.batch.manifest import Row
from splatmem.batch.results import Results
from splatmem.batch.shards import write_shards
from splatmem.scene import silent

from forked_commands import PHOTO

VALUES = {"source": str(PHOTO), "size": (96, 64), "frames": 12}
SAME = ("video.mp4", "scene.ply", "contact_sheet.png", "cameras.json", "memory/session.json")


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> FilmMaker:
    return FilmMaker(Results(str(tmp_path_factory.mktemp("batch") / "out")))


def test_films_have_the_bytes_of_flyaround(maker: FilmMaker, small_run: Path) -> None:
    """The second of two films, with models that have been used, is interrupted after a window, and goes on."""
    first = maker(Row("first", {**VALUES, "frames": 2, "path": "arc", "seed": 5}))
    assert first["state"] == "made", first
    assert first["load_seconds"] > 0

    windows = 0
    from splatmem.jobs import flyaround

    save = flyaround.save_run

    def interrupted(*arguments: object) -> None:
        nonlocal windows
        save(*arguments)  # type: ignore[arg-type]
        windows += 1
        if windows == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flyaround, "save_run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            maker(Row("second", VALUES))
    second = maker(Row("second", VALUES))
    assert second["state"] == "made", second
    assert maker(Row("second", VALUES))["state"] == "kept"
    folder = maker.results.film("second")
    for name in SAME[:-1]:
        assert (folder / name).read_bytes() == (small_run / name).read_bytes(), name
    with Image.open(maker.results.folder / "thumbnails" / "second.jpg") as picture:
        assert picture.width > picture.height

    other = maker(Row("second", {**VALUES, "seed": 1}))
    assert other["state"] == "failed"
    assert "was made with other options (seed = 0)" in other["error"]

    shards = [shard_of(maker.results, names) for names in (["first", "second"], ["first", "second"])]
    assert shards[0] == shards[1]
    with tarfile.open(fileobj=io.BytesIO(shards[0])) as shard:
        names = shard.getnames()
        depth = np.load(io.BytesIO(shard.extractfile("second.depth.npz").read()))["depth"]  # type: ignore[union-attr]
        cameras = json.loads(shard.extractfile("second.cameras.json").read())  # type: ignore[union-attr]
    assert names[:5] == ["first.mp4", "first.cameras.json", "first.ply", "first.json", "first.depth.npz"]
    assert depth.shape == (12, 64, 96)
    assert len(cameras["frames"]) == 12
    assert np.isfinite(depth).mean() > 0.9
    assert (depth > 0).all()


def shard_of(results: Results, names: list[str]) -> bytes:
    write_shards(results, names, 2, None, silent)
    (file,) = (results.folder / "shards").iterdir()
    return file.read_bytes()


def test_failures_are_sentences(maker: FilmMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.png").write_bytes(b"nonsense")
    assert "cannot be read as a picture" in maker(Row("broken", {**VALUES, "source": str(tmp_path / "broken.png")}))["error"]
    assert "there is no memory://nowhere/x.png" in maker(Row("gone", {**VALUES, "source": "memory://nowhere/x.png"}))["error"]
    assert "did you mean 'embedded'" in maker(Row("preset", {**VALUES, "preset": "embeded"}))["error"]

    def fault(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of a programmer")

    monkeypatch.setattr("splatmem.batch.films.flyaround", fault)
    told = maker(Row("fault", VALUES))
    assert told["error"] == "ZeroDivisionError: of a programmer"
    assert "Traceback" in told["traceback"]
    assert not any(maker.results.film(name).exists() for name in ("broken", "gone", "preset", "fault"))


def test_thumbnails_of_short_films() -> None:
    assert thumbnail(Image.new("RGB", (258 * 4, 3 * 174)), 96, 64).size == (516, 346)
    assert thumbnail(Image.new("RGB", (258 * 2, 3 * 174)), 96, 64).size == (258, 173)
