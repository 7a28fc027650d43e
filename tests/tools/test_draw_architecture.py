"""The picture of the package's imports, and the page that explains it."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from draw_architecture import PROJECT, Shape, counts, drawing, layers, main, shape_of

TWO = Shape({"top": 3, "bottom": 1}, ["bottom"], {("top", "bottom"): 4}, 2)


@pytest.fixture(scope="module")
def shape() -> Shape:
    return shape_of()


def texts(picture: str) -> list[str]:
    return ["".join(e.itertext()) for e in ElementTree.fromstring(picture).iter() if e.tag.endswith("}text")]


def test_every_part_is_in_the_picture(shape: Shape) -> None:
    shown = texts(drawing(shape, layers()))
    for name in shape.modules:
        assert (f"{name}.py" if name in shape.loose else name) in shown


def test_it_holds_boxes_and_numbers_of_imports() -> None:
    shown = texts(drawing(TWO, [["top"], ["not there"], ["bottom"]]))
    assert [text for text in shown if text in ("top", "bottom.py", "4", "3")] == ["4", "top", "3", "bottom.py"]


def test_an_import_that_points_up_is_red() -> None:
    up = Shape(TWO.modules, TWO.loose, {**TWO.imports, ("bottom", "top"): 1}, 1)
    assert "#d0021b" not in drawing(TWO, [["top"], ["bottom"]])
    assert "#d0021b" in drawing(up, [["top"], ["bottom"]])


def test_a_part_without_a_layer_is_refused() -> None:
    with pytest.raises(ValueError, match=r"in no layer .*: bottom"):
        drawing(TWO, [["top"]])


def test_floors_count_a_cycle_once() -> None:
    def floors(*imports: tuple[str, str]) -> int:
        return Shape({}, [], dict.fromkeys(imports, 1), 0).floors

    assert floors(("a", "b"), ("b", "c"), ("a", "c")) == 3
    assert floors(("a", "b"), ("b", "a"), ("b", "c")) == 2


def test_the_command_writes_the_picture_or_prints_counts(shape: Shape, tmp_path: Path, capsys) -> None:
    main(["--out", str(tmp_path / "a.svg")])
    assert (tmp_path / "a.svg").read_text() == drawing(shape, layers())
    capsys.readouterr()
    main(["--counts"])
    assert capsys.readouterr().out.strip() == counts(shape)
    assert f"edges between parts: {len(shape.imports)}" in counts(shape)


def test_the_page_names_every_part_and_only_those(shape: Shape) -> None:
    page = (PROJECT / "docs" / "architecture.md").read_text()
    table = page.partition("## What goes where")[2].partition("Beside the layers")[0]
    named = {name for row in table.splitlines() if row.startswith("| `") for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == set(shape.modules)
    assert "images/architecture.svg" in page


def test_the_page_names_functions_that_exist() -> None:
    page = (PROJECT / "docs" / "architecture.md").read_text()
    stops = page.partition("## From the command to scene.ply")[2].partition("## What goes where")[0]
    for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", stops):
        if name == "scene.ply":
            continue
        path = (PROJECT / "splatmem").joinpath(*name.split("."))
        if path.with_suffix(".py").is_file() or path.is_dir():
            continue
        home = path.parent.with_suffix(".py") if path.parent.with_suffix(".py").is_file() else path.parent / "__init__.py"
        assert re.search(rf"^def {path.name}\b", home.read_text(), re.MULTILINE), name
