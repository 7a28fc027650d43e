"""The page about a run: whole in itself, and it holds what the run measured."""

from __future__ import annotations

import base64
import io
import re
import warnings
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from splatmem.explore.loop import ExploreState
from splatmem.geometry.cameras import Cameras
from splatmem.report import html
from splatmem.report.html import report_page
from splatmem.report.plots import ticks
from splatmem.report.units import readable

REPORT: dict[str, Any] = {
    "source": "a <b>& 'c'.jpg",
    "path": "turn",
    "frames": 24,
    "size": [512, 288],
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
    "seconds": {"total": 12.25, "load": 1.5, "fill": 7.0, "encode": 0.125},
    "photo_psnr": 33.21234,
    "retention_psnr": {"min": None, "mean": 40.5},
    "notes": ["orbit drawn in to 31 % of its radius", "<script>alert(1)</script>"],
}
FETCHING = {"src", "href", "srcset", "data", "action", "poster", "background"}


class Page(HTMLParser):
    """Tags with their attributes, and the text of each table row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] == "td":
            self.rows[-1][-1] += data

    def pictures(self) -> dict[str, tuple[str, bytes]]:
        """Media type and content of the embedded pictures, by their alternative text."""
        found = {}
        for tag, attributes in self.tags:
            if tag == "img":
                match = re.fullmatch(r"data:(image/[a-z+]+);base64,(.+)", attributes["src"] or "")
                assert match, "a picture that is not embedded"
                found[attributes["alt"] or ""] = (match[1], base64.b64decode(match[2], validate=True))
        return found


def written(
    report: dict[str, Any] = REPORT, windows: list[list[int]] | None = None, path: Cameras | None = None, **more: Any
) -> str:
    if path is None:
        poses = torch.eye(4).repeat(24, 1, 1)
        poses[:, 0, 3] = torch.linspace(0, 2, 24)
        path = Cameras.from_fov(poses, 60, 512, 288)
    windows = [[3, 5], [9]] if windows is None else windows
    sheet = Image.new("RGB", (64, 48), (200, 30, 60))
    return report_page(report, sheet, path, ExploreState(windows), [0.6, 0.25, 0.01][: len(windows) + 1], **more)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(written())


def test_nothing_is_fetched(page: Page) -> None:
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base", "form"), tag
        for name in FETCHING & set(attributes):
            assert (attributes[name] or "").startswith("data:"), f"<{tag} {name}=...>"
    assert "url(" not in written()
    assert "@import" not in written()


def test_pictures_in_the_page_fetch_nothing_either(page: Page) -> None:
    plots = [content for kind, content in page.pictures().values() if kind == "image/svg+xml"]
    assert len(plots) == 2
    for content in plots:
        for element in ElementTree.fromstring(content).iter():
            for name, value in element.attrib.items():
                if name.rpartition("}")[2] in FETCHING and "rdf" not in name:
                    assert value.startswith(("#", "data:")) or element.tag.endswith("type"), f"{element.tag} {name}={value}"
            assert "url(http" not in (element.text or "")


def test_it_holds_sheet_path_coverage_and_times(page: Page) -> None:
    pictures = page.pictures()
    assert set(pictures) == {"contact sheet", "camera path", "coverage and time"}
    kind, content = pictures["contact sheet"]
    sheet = Image.open(io.BytesIO(content))
    assert kind == "image/jpeg"
    assert sheet.size == (64, 48)
    assert sum(abs(a - b) for a, b in zip(sheet.getpixel((30, 20)), (200, 30, 60), strict=True)) < 12  # type: ignore[arg-type]


def svg(page: Page, name: str) -> str:
    return page.pictures()[name][1].decode()


def test_every_window_has_its_colour_in_the_path() -> None:
    def arrows(windows: list[list[int]]) -> list[bool]:
        drawing = svg(Page(written(windows=windows)), "camera path")
        return [colour in drawing for colour in ("#1f77b4", "#ff7f0e", "#2ca02c")]

    assert arrows([]) == [False, False, False]
    assert arrows([[3, 5], [9]]) == [True, True, False]
    assert arrows([[3], [9], [12]]) == [True, True, True]


def test_every_stage_has_a_bar(page: Page) -> None:
    drawing = svg(page, "coverage and time")
    drawn = re.findall(r">([a-z]+)</text>", drawing)
    assert [name for name in drawn if name in ("load", "fill", "encode", "total")] == ["load", "fill", "encode"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (-0.31, 0.22, [-0.3, -0.2, -0.1, 0, 0.1, 0.2]), (0, 3.9, [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5])],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_a_path_that_stands_still_is_plotted() -> None:
    assert "<circle" in svg(Page(written(path=Cameras.from_fov(torch.eye(4).repeat(12, 1, 1), 60, 64, 48))), "camera path")


def test_every_figure_is_in_the_table(page: Page) -> None:
    def leaves(values: dict[str, Any], prefix: str = "") -> list[str]:
        return [
            leaf
            for key, value in values.items()
            for leaf in (leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key])
        ]

    table = {row[0]: row[1] for row in page.rows if row}
    assert list(table) == leaves(REPORT)
    assert table["photo_psnr"] == "33.2 dB"
    assert table["retention_psnr.mean"] == "40.5 dB"
    assert table["retention_psnr.min"] == "none"
    assert table["size"] == "512 x 288"
    assert table["seconds.fill"] == "7.0 s"


def test_names_and_notes_are_text_and_not_markup(page: Page) -> None:
    assert REPORT["source"] in page.text
    assert "<script>alert(1)</script>" in page.text
    assert not any(tag in ("script", "b") for tag, _ in page.tags)
    notes = [attributes for tag, attributes in page.tags if attributes.get("class") == "note"]
    assert len(notes) == 2
    assert page.open == []


def test_a_path_that_stays_in_one_place_can_be_drawn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = Page(written(windows=[[1]], path=Cameras.from_fov(torch.eye(4).repeat(2, 1, 1), 60, 64, 64)))
    assert len(page.pictures()) == 3


FULL = REPORT | {
    "unknown_fraction": 0.0016,
    "unknown_by_frame": [0.0, 0.004] * 12,
    "scene": {"subject_distance": 2.1, "size": [4.0, 2.5, 6.0], "unit": "m"},
    "peak_rss_bytes": 1_900_000_000,
    "gaussians": 650348,
    "memory_bytes": 39_000_000,
}


def test_the_film_lies_in_the_page_and_the_viewer_beside_it(tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(b"a film")
    text = written(FULL, video=tmp_path / "video.mp4", folder=Path("out/demo"))
    page = Page(text)
    videos = [attributes for tag, attributes in page.tags if tag == "video"]
    assert base64.b64decode((videos[0]["src"] or "").removeprefix("data:video/mp4;base64,")) == b"a film"
    assert [attributes["href"] for tag, attributes in page.tags if tag == "a"] == ["scene.html"]
    assert [attributes["src"] for tag, attributes in page.tags if tag == "iframe"] == ["scene.html"]
    assert "splatmem export out/demo scene.glb" in page.text
    assert "unknown by frame" in page.pictures()
    for words in ("2.1 m", "4 wide, 2.5 high, 6 deep", "1.9 GB", "0.16 %", "33.2 dB", "12.2 s", "650,348", "39 MB", "53.1 MB"):
        assert words in page.text
    assert "unknown_by_frame" not in page.text, "a plot shows it"


def test_the_film_s_first_frame_is_shown_before_it_is_played(tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(b"a film")
    page = Page(written(FULL, video=tmp_path / "video.mp4", poster=Image.new("RGB", (40, 24), (20, 180, 60))))
    poster = next(attributes["poster"] or "" for tag, attributes in page.tags if tag == "video")
    shown = Image.open(io.BytesIO(base64.b64decode(poster.removeprefix("data:image/jpeg;base64,"))))
    assert shown.size == (40, 24)
    assert sum(abs(a - b) for a, b in zip(shown.getpixel((9, 9)), (20, 180, 60), strict=True)) < 12  # type: ignore[arg-type]


def test_the_table_says_what_figures_mean(page: Page) -> None:
    assert [row[0] for row in page.rows if len(row) == 3] == ["photo_psnr", "retention_psnr.min", "retention_psnr.mean"]


def test_a_large_film_stays_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "LARGEST_EMBEDDED", 3)
    (tmp_path / "video.mp4").write_bytes(b"a film")
    assert 'src="video.mp4"' in written(FULL, video=tmp_path / "video.mp4")


def test_notes_say_what_they_mean() -> None:
    note = "the picture does not say its field of view: 60 degrees are assumed"
    page = Page(written(REPORT | {"notes": [note]}))
    assert note in page.text
    assert "--fov gives the true one" in page.text


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("peak_rss_bytes", 1_900_000_000, "1.9 GB"), ("memory_bytes", 45_300_000, "45.3 MB"), ("photo_psnr", 45.93, "45.9 dB"),
        ("unknown_fraction", 0.00161, "0.16 %"), ("seconds.load", 1.25, "1.2 s"), ("gaussians", 583062, "583,062"),
        ("seed", 123456, "123456"), ("fov_x_degrees", 60.0, "60\N{DEGREE SIGN}"), ("bend.mean", 0.0088, "0.88 %"),
        ("device", "cpu", "cpu"), ("scene.size", [4.6, 1.8, 5.9], "4.6 x 1.8 x 5.9"), ("notes", ["a", "b"], "a; b"),
        ("path_extent", None, "none"), ("scene.subject_distance", 2.125, "2.125"),
    ],
)  # fmt: skip
def test_figures_as_people_read_them(name: str, value: Any, said: str) -> None:
    assert readable(name, value) == said
