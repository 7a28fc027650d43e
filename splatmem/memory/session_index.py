"""The index of a session: a small JSON object that carries its own checksum."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from splatmem.memory.session_parts import DamagedSessionError, Link

FORMAT = "splatmem-session"
VERSION = 4
WITHOUT_LISTS = 3  # the version of an index whose parts hold no lists; all that it lacks
WITHOUT_STATES = 2  # the version of one that keeps no other states besides
CHECKSUM = "sha256"


@dataclass(frozen=True)
class SessionIndex:
    """A state of a session, but for its tensors.

    Attributes:
        world: ``world_from_memory``, 4x4 by rows.
        last: the newest part; None if there is none.
        progress: JSON values of whoever saved it.
        states: numbers of other states that are kept beside it, to go back or forth to.
        lists: lengths of the lists of whoever saved it, whose values the parts hold, by their names.
    """

    scale: float
    num_given_views: int
    metric: bool
    num_feature_views: int
    world: list[list[float]]
    last: Link | None
    progress: dict[str, Any]
    states: tuple[int, ...] = ()
    lists: dict[str, int] = field(default_factory=dict)


def index_text(index: SessionIndex) -> str:
    """The index as a file holds it.

    Raises:
        ValueError: it holds what JSON does not know.
    """
    values = {"format": FORMAT, "version": VERSION, **{f.name: getattr(index, f.name) for f in fields(index)}}
    values["last"] = None if index.last is None else index.last.to_json()
    if not index.lists:
        del values["lists"]
        values["version"] = WITHOUT_LISTS if index.states else WITHOUT_STATES
    if not index.states:
        del values["states"]
    try:
        return sealed(values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"a session keeps JSON values of finite numbers: {error}") from error


def sealed(values: dict[str, Any]) -> str:
    """JSON with a checksum of all the rest as its first entry."""
    text = json.dumps(values, allow_nan=False)
    return f'{{"{CHECKSUM}": "{hashlib.sha256(text.encode()).hexdigest()}", {text[1:]}'


def read_index(file: Path) -> SessionIndex:
    """Reads and checks an index.

    Raises:
        DamagedSessionError: it is missing, was changed, or holds what no index holds.
        ValueError: another version has written it.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT or type(values.get("version")) is not int:
            raise ValueError("it is no index of a session")
        version = values.pop("version")
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedSessionError(f"the session is damaged: {file} cannot be read ({error})") from error
    if version > VERSION:
        raise ValueError(
            f"{file} was written by a newer splatmem (session version {version}, this one reads version {VERSION}): "
            "update splatmem, or open the scene.ply beside it"
        )
    if version < WITHOUT_STATES:
        raise ValueError(
            f"{file} was written by an older splatmem (session version {version}, this one reads {WITHOUT_STATES} to "
            f"{VERSION}): make the scene again, or open the scene.ply beside it"
        )
    try:
        checksum = values.pop(CHECKSUM, None)
        if checksum != json.loads(sealed({"format": FORMAT, "version": version, **values}))[CHECKSUM]:
            raise ValueError("its checksum is wrong")
        return _checked(values)
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise DamagedSessionError(f"the session is damaged: {file} was changed ({error})") from error


def _checked(values: dict[str, Any]) -> SessionIndex:
    values = {"states": [], "lists": {}, **values}
    names = {f.name for f in fields(SessionIndex)}
    if set(values) != names:
        raise ValueError(f"unexpected or missing entries: {', '.join(sorted(names ^ set(values)))}")
    scale, world, progress = (values[name] for name in ("scale", "world", "progress"))
    if type(scale) not in (int, float) or not math.isfinite(scale) or scale <= 0:
        raise ValueError("scale must be a number above 0")
    if type(values["metric"]) is not bool:
        raise ValueError("metric must be true or false")
    for name in ("num_given_views", "num_feature_views"):
        if type(values[name]) is not int or values[name] < 0:
            raise ValueError(f"{name} must be a count")
    if not isinstance(world, list) or [len(row) if isinstance(row, list) else 0 for row in world] != [4] * 4:
        raise ValueError("world must be a 4x4 matrix")
    if not all(type(value) in (int, float) and math.isfinite(value) for row in world for value in row):
        raise ValueError("world must be of finite numbers")
    if not isinstance(progress, dict):
        raise ValueError("progress must be an object")
    states = values["states"]
    if not isinstance(states, list) or not all(type(number) is int and 0 <= number < 10**9 for number in states):
        raise ValueError("states must be numbers")
    lists = values["lists"]
    if not isinstance(lists, dict) or not all(type(length) is int and length >= 0 for length in lists.values()):
        raise ValueError("lists must be lengths by names")
    return SessionIndex(**(values | {"scale": float(scale), "last": Link.of_json(values["last"]), "states": tuple(states)}))
