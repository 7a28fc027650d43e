"""Draws which parts of the package import which, from the code: docs/images/architecture.svg.

The floors are the layers that pyproject.toml's import contract names; imports are found with grimp, those inside of functions
and for type checkers too. With ``--counts`` nothing is drawn, and figures of the package's shape are printed.
"""

from __future__ import annotations

import argparse
import importlib.util
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import grimp
import networkx

PROJECT = Path(__file__).parents[1]
PICTURE = PROJECT / "docs" / "images" / "architecture.svg"
PACKAGE = "splatmem"

WIDTH, TOP, LEFT, RIGHT, ROW = 1000, 16, 128, 16, 31  # pixels
BOX_HEIGHT, CHARACTER, PADDING = 23, 7.4, 9
COLOURS = {"front": "#8c4a9e", "jobs": "#2f6db5", "core": "#1f8a70", "ground": "#8a6d3b"}


@dataclass(frozen=True)
class Shape:
    """What imports what, by names directly below the package.

    Attributes:
        modules: number of modules of each name; 1 for a loose module.
        loose: names that are modules, not folders.
        imports: number of imports of one module by another, by importer's and imported name.
        depth: modules on the longest chain of imports of the package, cycles counted as one.
    """

    modules: dict[str, int]
    loose: list[str]
    imports: dict[tuple[str, str], int]
    depth: int

    @property
    def floors(self) -> int:
        """Names on the longest chain of imports between them, cycles counted as one."""
        return _longest_chain(self.imports)


def shape_of(package: str = PACKAGE) -> Shape:
    """The shape of an importable package, its own ``__init__`` and ``__main__`` left out."""
    graph = grimp.build_graph(package, cache_dir=None)
    parts = {module: module.split(".")[1] for module in graph.modules if module != package}
    # An editable installation may show grimp the folder around the package as a part of it.
    folder = Path(str(importlib.util.find_spec(package).origin)).parent  # type: ignore[union-attr]
    inside = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    parts = {module: part for module, part in parts.items() if part in inside - {"__main__", "__init__"}}
    pairs = [
        (module, imported)
        for module in parts
        for imported in graph.find_modules_directly_imported_by(module)
        if imported in parts
    ]
    imports = Counter((parts[a], parts[b]) for a, b in pairs if parts[a] != parts[b])
    loose = sorted(part for part in set(parts.values()) if not graph.find_children(f"{package}.{part}"))
    return Shape(dict(Counter(parts.values())), loose, dict(sorted(imports.items())), _longest_chain(pairs))


def _longest_chain(pairs) -> int:
    graph = networkx.DiGraph(list(pairs))
    return len(networkx.dag_longest_path(networkx.condensation(graph)))


def layers(project: Path = PROJECT) -> list[list[str]]:
    """Names of each layer of the import contract, from the top; those of one layer do not import each other."""
    tool = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    contract = next(c for c in tool["contracts"] if c["type"] == "layers")
    return [[name.strip(" ()") for name in layer.split("|")] for layer in contract["layers"]]


def drawing(shape: Shape, floors: list[list[str]]) -> str:
    """The picture as SVG: a box for each name on a diagonal, the top floor first; a line from each box goes right and down to
    every box that it imports, and where it turns stands the number of imports.

    Raises:
        ValueError: a name is in no layer.
    """
    floors = [[name for name in floor if name in shape.modules] for floor in floors]
    floors = [floor for floor in floors if floor]
    names = [name for floor in floors for name in floor]
    missing = sorted(set(shape.modules) - set(names))
    if missing:
        raise ValueError(f"in no layer of pyproject.toml's import contract: {', '.join(missing)}")
    pitch = (WIDTH - LEFT - RIGHT) / len(names)
    x = {name: LEFT + pitch * (i + 0.5) for i, name in enumerate(names)}
    y = {name: TOP + ROW * (i + 0.5) for i, name in enumerate(names)}
    height = TOP + ROW * len(names) + 12
    colour = {name: COLOURS[_kind(name)] for name in names}
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            'font-family="DejaVu Sans, Verdana, sans-serif">',
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
            *_bands(floors, y),
            *_lines(shape, x, y, colour),
            *(_box(name, shape, x[name], y[name], colour[name]) for name in names),
            *_legend(height),
            "</svg>\n",
        ]
    )


def _kind(name: str) -> str:
    if name in ("cli", "evaluate", "report", "viewer"):
        return "front"
    if name in ("jobs", "scene", "explore"):
        return "jobs"
    return "ground" if name in ("config", "assets", "metrics", "timing", "pixels") else "core"


def _bands(floors: list[list[str]], y: dict[str, float]) -> list[str]:
    """A stripe for each floor, with its number."""
    parts = []
    for number, floor in enumerate(floors):
        top, tall = y[floor[0]] - ROW / 2, ROW * len(floor)
        fill = "#f4f6f8" if number % 2 == 0 else "#fff"
        parts.append(f'<rect x="0" y="{top:g}" width="{WIDTH}" height="{tall:g}" fill="{fill}"/>')
        label = len(floors) - 1 - number
        parts.append(f'<text x="10" y="{top + tall / 2 + 4:g}" font-size="11" fill="#9aa4ad">{label}</text>')
    return parts


def _lines(shape: Shape, x: dict[str, float], y: dict[str, float], colour: dict[str, str]) -> list[str]:
    lines, dots = [], []
    for name in x:
        down = [b for (a, b) in shape.imports if a == name and y[b] > y[name]]
        if down:
            end = max(x[b] for b in down)
            lines.append(f'<path d="M{x[name]:.1f} {y[name]:g}H{end:.1f}" stroke="{colour[name]}" opacity=".35"/>')
        users = [a for (a, b) in shape.imports if b == name and y[a] < y[name]]
        if users:
            start, tip = min(y[a] for a in users), y[name] - BOX_HEIGHT / 2
            lines.append(f'<path d="M{x[name]:.1f} {start:g}V{tip - 4:g}" stroke="#8d99a6" opacity=".55"/>')
            lines.append(f'<path d="M{x[name] - 4:.1f} {tip - 6:g}h8l-4 6z" fill="#66727e"/>')
    for (a, b), count in shape.imports.items():
        fill = colour[a] if y[b] > y[a] else "#d0021b"
        dots.append(f'<circle cx="{x[b]:.1f}" cy="{y[a]:g}" r="8.5" fill="{fill}"/>')
        dots.append(
            f'<text x="{x[b]:.1f}" y="{y[a] + 3.6:g}" font-size="10" font-weight="bold" fill="#fff" '
            f'text-anchor="middle">{count}</text>'
        )
    return lines + dots


def _box(name: str, shape: Shape, x: float, y: float, colour: str) -> str:
    """A name with the number of its modules; its right end stands below the column's middle."""
    text = name + ("" if name not in shape.loose else ".py")
    wide = CHARACTER * len(text) + 2 * PADDING
    left = x + 14 - wide
    count = "" if name in shape.loose else f'<tspan x="{left - 6:.1f}" text-anchor="end">{shape.modules[name]}</tspan>'
    outline = f'fill="#fff" stroke="{colour}"' if name in shape.loose else f'fill="{colour}"'
    ink = colour if name in shape.loose else "#fff"
    return (
        f'<rect x="{left:.1f}" y="{y - BOX_HEIGHT / 2:g}" width="{wide:.1f}" height="{BOX_HEIGHT}" rx="5" {outline}/>'
        f'<text x="{left + wide / 2:.1f}" y="{y + 4.3:g}" font-size="12.5" fill="{ink}" text-anchor="middle">'
        f"{escape(text)}</text>"
        f'<text y="{y + 4:g}" font-size="10.5" fill="#7b8794">{count}</text>'
    )


def _legend(height: int) -> list[str]:
    words = (
        "A box imports what its line reaches: right, then down.",
        "Number on a line: imports of one module by another.",
        "Number beside a box: modules in the folder.",
        "Number at the left: the floor. Lines never go up.",
    )
    first = height - 26 - 18 * (len(words) - 1)
    return [
        f'<text x="40" y="{first + 18 * i}" font-size="12" fill="#55606b">{escape(line)}</text>' for i, line in enumerate(words)
    ]


def counts(shape: Shape) -> str:
    """Figures of the package's shape, one on each line."""
    return "\n".join(
        [
            f"modules: {sum(shape.modules.values())}",
            f"loose modules: {len(shape.loose)} ({', '.join(shape.loose)})",
            f"folders: {len(shape.modules) - len(shape.loose)}",
            f"edges between parts: {len(shape.imports)}, of {sum(shape.imports.values())} imports",
            f"floors, the longest chain between parts: {shape.floors}",
            f"longest chain of modules: {shape.depth}",
        ]
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=PICTURE)
    parser.add_argument("--counts", action="store_true", help="print figures of the package's shape, draw nothing")
    options = parser.parse_args(arguments)
    shape = shape_of()
    if options.counts:
        print(counts(shape))
        return
    options.out.write_text(drawing(shape, layers()), encoding="utf-8")
    print(options.out)


if __name__ == "__main__":
    main()
