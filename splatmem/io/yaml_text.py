"""YAML of files that users bring: plain values only, read at once or refused in a sentence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

LONGEST = 4_000_000  # bytes
DEEPEST = 24  # nested lists and maps
PLAIN = ("null", "bool", "int", "float", "str", "seq", "map")
# YAML 1.1 takes 1e-3 for a word, since it lacks a point; YAML 1.2 and everybody else take it for a number.
NUMBER = re.compile(r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)|[-+]?[0-9]*\.[0-9]+")


class _PlainLoader(yaml.SafeLoader):
    """Without anchors, which a few lines can make billions of, tags other than the plain ones, and deep nesting."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"an alias{_place(self.peek_event())}: write the value out where it is needed")
        self.depth += 1
        if self.depth > DEEPEST:
            raise yaml.YAMLError(f"lists and maps are nested more than {DEEPEST} deep")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def fetch_flow_collection_start(self, token_class: Any) -> None:
        if self.flow_level > DEEPEST:
            raise yaml.YAMLError(f"lists and maps are nested more than {DEEPEST} deep")
        super().fetch_flow_collection_start(token_class)


def _place(event: Any) -> str:
    return f" in line {event.start_mark.line + 1}" if event.start_mark else ""


_PlainLoader.yaml_constructors = {  # type: ignore[assignment]
    tag: construct
    for tag, construct in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in PLAIN
}
_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in PLAIN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_PlainLoader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"^(?:{NUMBER.pattern})$"), list("-+0123456789."))


def parse_yaml(file: Path) -> Any:
    """The content of a YAML file.

    Raises:
        ValueError: it is none, is too long, or holds aliases, tags or nesting that no such file needs; the message names it.
    """
    if file.stat().st_size > LONGEST:
        raise ValueError(f"{file}: expected YAML of at most {LONGEST // 1_000_000} MB, got {file.stat().st_size} bytes")
    try:
        return yaml.load(file.read_text(encoding="utf-8-sig"), Loader=_PlainLoader)
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{file}: expected YAML, but it cannot be read: {' '.join(str(error).split())}") from error
