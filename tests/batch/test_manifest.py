"""Manifests of every format, and rows that are wrong in every way."""

from __future__ import annotations

import json
import re
from pathlib import Path

import fsspec
import pytest
from splatmem.batch.columns import column_types, parse_cells
from splatmem.batch.manifest import read_manifest

CELLS = {"id": "a", "source": "p.png", "frames": "12", "size": "96x64", "fov": "60.5", "low_vram": "yes", "seed": "-3"}
VALUES = {"frames": 12, "size": (96, 64), "fov": 60.5, "low_vram": True, "seed": -3}


def written(folder: Path, name: str, text: str | bytes) -> str:
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(file)


def csv(*rows: str) -> str:
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize("form", ["csv", "semicolons", "tsv", "jsonl", "json", "parquet"])
def test_every_format_gives_the_same_rows(form: str, tmp_path: Path) -> None:
    header, row = list(CELLS), list(CELLS.values())
    if form == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.table({name: [value] for name, value in CELLS.items()}), tmp_path / "m.parquet")
    separator = {"csv": ",", "semicolons": ";", "tsv": "\t"}.get(form)
    if separator is not None:
        name = "m.tsv" if form == "tsv" else "m.csv"
        written(tmp_path, name, "\ufeff" + csv(separator.join(header), separator.join(row)))
    elif form in ("jsonl", "json"):
        typed = {**CELLS, "frames": 12, "size": [96, 64], "fov": 60.5, "low_vram": True, "seed": -3}
        written(tmp_path, f"m.{form}", json.dumps([typed] if form == "json" else typed))
    (manifest,) = tmp_path.iterdir()
    (found,) = read_manifest(str(manifest), {"frames": 7, "path": "arc"})
    assert found.problem is None
    assert found.name == "a"
    assert found.values == {**VALUES, "source": str(tmp_path / "p.png"), "path": "arc"}


def test_a_folder_of_photos_is_a_manifest(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.png", "a.jpg", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    rows = read_manifest(str(tmp_path), {"frames": 8})
    assert [(row.name, Path(row.values["source"]).name) for row in rows] == [("a", "a.jpg"), ("a.png", "a.png"), ("b", "b.jpg")]
    assert all(row.values["frames"] == 8 for row in rows)


def test_a_bucket_is_a_manifest() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/photos/x.jpg", b"1")
    memory.pipe("/lists/m.csv", b"source\nx.jpg\n/data/y.jpg\ns3://other/z.jpg\n")
    assert [row.values["source"] for row in read_manifest("memory://photos", {})] == ["memory://photos/x.jpg"]
    found = [row.values["source"] for row in read_manifest("memory://lists/m.csv", {})]
    assert found == ["memory://lists/x.jpg", "/data/y.jpg", "s3://other/z.jpg"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("m.csv", "source,frmes\np.png,3\n", "unknown column 'frmes' (did you mean 'frames'?)"),
        ("m.csv", "source,out\np.png,x\n", "the batch decides where films lie"),
        ("m.csv", "id,frames\na,3\n", "expected a column 'source' or 'prompt'"),
        ("m.csv", "source,frames,frames\np.png,3,4\n", "the column 'frames' is there twice"),
        ("m.csv", "source\n", "has no rows"),
        ("m.csv", "", "expected a column 'source'"),
        ("m.json", "{}", "expected a list"),
        ("m.json", "nonsense", "is no JSON"),
        ("m.parquet", "nonsense", "is no Parquet file"),
        ("m.xlsx", "", "expected a manifest that ends in .csv"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why(name: str, content: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read_manifest(written(tmp_path, name, content), {})


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no manifest"):
        read_manifest(str(tmp_path / "nothere.csv"), {})
    with pytest.raises(ValueError, match="holds no photos"):
        read_manifest(str(tmp_path), {})
    with pytest.raises(ValueError, match="nosuch://x"):
        read_manifest("nosuch://x/y.csv", {})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a/b,p.png,3,", "cannot be the name of a folder"),
        ("..,p.png,3,", "cannot be the name of a folder"),
        ("a.,p.png,3,", "cannot be the name of a folder"),
        ("Index.html,p.png,3,", "is the name of a file that the batch writes"),
        (f"{'ä' * 101},p.png,3,", "202 bytes long"),
        ("Good,p.png,3,", "is that of another row"),
        ("x,,3,", "gives no source"),
        ("x,p.png,three,", "frames: expected a whole number, got 'three'"),
        ("x,p.png,3.5,", "frames: expected a whole number, got '3.5'"),
        ("x,p.png,3,96", "size: a size is WIDTHxHEIGHT"),
        ("x,p.png,3,96x64,more", "5 cells, the header 4"),
    ],
)
def test_a_bad_row_does_not_end_the_rest(row: str, said: str, tmp_path: Path) -> None:
    manifest = written(tmp_path, "m.csv", csv("id,source,frames,size", "good,p.png,3,", row, "other,p.png,,96x64"))
    good, bad, other = read_manifest(manifest, {})
    assert good.problem is None
    assert other.problem is None
    assert bad.problem is not None
    assert said in bad.problem
    assert bad.name in ("line 3", "x")


def test_lines_that_are_no_json_are_bad_rows(tmp_path: Path) -> None:
    lines = [
        '{"source": "p.png"}',
        "nonsense",
        "[1]",
        '{"source": "q.png", "frmes": 3}',
        '{"source": "q.png", "frames": true}',
        "",
    ]
    rows = read_manifest(written(tmp_path, "m.jsonl", "\n".join(lines)), {})
    said = [None, "this line is no JSON", "expected an object", "did you mean 'frames'", "frames: expected a whole number"]
    assert len(rows) == 5
    for row, words in zip(rows, said, strict=True):
        assert row.problem is None if words is None else words in row.problem


def test_the_users_own_columns_are_left_alone() -> None:
    assert parse_cells({"_price": "high", "source": "x", "prompt": "  ", "frames": float("nan")}) == {"source": "x"}


def test_words_of_set(tmp_path: Path) -> None:
    assert parse_cells({"set": 'inpainter.steps=4 "a.b=c d"'})["overrides"] == ("inpainter.steps=4", "a.b=c d")
    assert parse_cells({"overrides": '["a.b=1"]'})["overrides"] == ("a.b=1",)


def test_every_option_of_flyaround_can_be_a_column() -> None:
    cells = {
        "source": "x", "prompt": "x", "poses": "x", "path": "x", "frames": 3, "size": "96x64", "fps": 24, "fov": "auto",
        "seconds": 4, "seed": 2,
        "preset": "x", "overrides": "a.b=1", "device": "cpu", "low_vram": "false", "keep_motion": "true",
    }  # fmt: skip
    assert set(column_types()) <= set(parse_cells(cells)), "an option of flyaround has no column, or none is tested"
