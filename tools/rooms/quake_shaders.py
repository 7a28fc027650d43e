"""Shader scripts of Quake 3 levels: which picture a surface shows, and which surfaces are sky, liquid or not drawn.

A script names surfaces, each with properties and with stages of pictures drawn over each other; a surface that no script names
shows the picture of its own name. Only what a still picture without blending needs is read.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

Role = Literal["solid", "liquid", "sky", "hidden"]
PICTURE_SUFFIXES = (".jpg", ".tga", ".png", ".jpeg")
LIQUIDS = frozenset(("water", "lava", "slime"))
HIDDEN_FOLDER = "common/"
"""Of the level editors' own surfaces: clips, triggers, hints."""


@dataclass
class Shader:
    """One entry of a script; names in lower case."""

    properties: set[str] = field(default_factory=set)
    pictures: list[str] = field(default_factory=list)
    editor_picture: str | None = None
    is_sky: bool = False
    first_blend: str = ""
    """How the first stage is laid over what is behind the surface; empty if it covers it."""


def parse_script(text: str) -> dict[str, Shader]:
    """The entries of one script by name; what is not understood is passed over."""
    text = re.sub(r"//[^\n]*", "", text)
    shaders: dict[str, Shader] = {}
    current, depth = Shader(), 0
    for token in re.findall(r"[{}]|[^\n{}]+", text):
        words = token.strip().lower().split()
        if not words:
            continue
        if words[0] in "{}":
            depth += 1 if words[0] == "{" else -1
        elif depth == 0:
            current = shaders.setdefault(words[0].strip('"'), Shader())
        else:
            _read_line(current, words)
    return shaders


def _read_line(shader: Shader, words: list[str]) -> None:
    keyword, arguments = words[0], words[1:]
    if not arguments:
        return
    if keyword == "surfaceparm":
        shader.properties.add(arguments[0])
    elif keyword == "skyparms":
        shader.is_sky = True
    elif keyword == "qer_editorimage":
        shader.editor_picture = arguments[0]
    elif keyword in ("map", "clampmap"):
        shader.pictures.append(arguments[0])
    elif keyword == "animmap" and len(arguments) > 1:
        shader.pictures.append(arguments[1])
    elif keyword == "blendfunc" and len(shader.pictures) == 1:
        shader.first_blend = " ".join(arguments)


def resolve(name: str, shaders: dict[str, Shader], files: Container[str]) -> tuple[Role, str | None]:
    """What a surface is, and the file of its picture (None: plain).

    ``files``: all names in lower case.
    """
    name = name.lower().replace("\\", "/")
    shader = shaders.get(name)
    if shader is None:
        hidden = HIDDEN_FOLDER in name or name == "noshader"
        return ("hidden", None) if hidden else ("solid", find_picture(name, files))
    if "sky" in shader.properties or shader.is_sky:
        return "sky", None
    if shader.properties & {"nodraw", "fog"} or HIDDEN_FOLDER in name:
        return "hidden", None
    # Glows, shadows and stains only change what is behind them; glass and grates have an alpha channel.
    if shader.first_blend and "src_alpha" not in shader.first_blend and shader.first_blend != "blend":
        return ("liquid" if shader.properties & LIQUIDS else "hidden"), None
    role: Role = "liquid" if shader.properties & LIQUIDS else "solid"
    candidates = [picture for picture in (*shader.pictures, shader.editor_picture or "") if picture and picture[0] != "$"]
    found = (find_picture(picture, files) for picture in (*candidates, name))
    return role, next((file for file in found if file), None)


def find_picture(name: str, files: Container[str]) -> str | None:
    """The file of a picture: scripts give wrong suffixes or none."""
    path = PurePosixPath(name)
    stem = str(path.with_suffix("")) if path.suffix in PICTURE_SUFFIXES else name
    return next((stem + suffix for suffix in PICTURE_SUFFIXES if stem + suffix in files), None)
