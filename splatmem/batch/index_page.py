"""The page of a batch: its films with pictures and figures, so many to a page. Needs no PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from splatmem.batch.results import Results
from splatmem.report.pages import page

FILMS_ON_A_PAGE = 200


def write_index(results: Results, lines: Sequence[dict[str, Any]], facts: Sequence[str]) -> None:
    """Writes index.html, index_2.html, ...

    Args:
        results: where.
        lines: of the table; see ``splatmem.batch.table``.
        facts: sentences about the batch.
    """
    pages = max(1, -(-len(lines) // FILMS_ON_A_PAGE))
    names = ["index.html", *(f"index_{number}.html" for number in range(2, pages + 1))]
    for number, name in enumerate(names):
        shown = lines[number * FILMS_ON_A_PAGE : (number + 1) * FILMS_ON_A_PAGE]
        text = page("batch", films=list(map(_film, shown)), pages=names, current=name, facts=facts)
        results.write(name, text.encode(errors="backslashreplace"))


def _film(line: dict[str, Any]) -> dict[str, Any]:
    folder = quote(line["id"], errors="surrogateescape")
    return {**line, "folder": folder, "thumbnail": f"thumbnails/{folder}.jpg", "whole": line["video"] is not None}
