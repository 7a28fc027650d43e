"""requirements.lock names, with hashes, a version of all that pyproject.toml asks for, and agrees with constraints.txt."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = Path(__file__).parents[1]
LOCK = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
LOCKED = {
    canonicalize_name(name): Version(version) for name, version in re.findall(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", LOCK, re.M)
}
DEPENDENCIES = [
    Requirement(text)
    for text in tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
]
PINS = [
    Requirement(line)
    for line in (PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def pinned_torch() -> Version:
    return next(Version(next(iter(pin.specifier)).version) for pin in PINS if pin.name == "torch")


@pytest.mark.parametrize("dependency", DEPENDENCIES, ids=lambda dependency: dependency.name)
def test_each_dependency_is_locked_at_a_version_that_it_allows(dependency: Requirement):
    name = canonicalize_name(dependency.name)
    assert (pinned_torch() if name == "torch" else LOCKED[name]) in dependency.specifier


def test_the_lock_agrees_with_the_constraints():
    both = [pin for pin in PINS if canonicalize_name(pin.name) in LOCKED]
    assert both
    for pin in both:
        assert LOCKED[canonicalize_name(pin.name)] in pin.specifier, pin


def test_each_entry_has_hashes_and_none_brings_cuda():
    entries = re.findall(r"^\S+==.*\n(?:[ \t].*\n)*", LOCK, re.M)
    assert len(entries) == len(LOCKED)
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not [name for name in LOCKED if re.match(r"torch$|triton|nvidia|cuda", name)]


def test_no_place_on_the_network_is_named():
    assert "://" not in LOCK
    assert "index-url" not in LOCK


def test_torch_and_what_its_cuda_build_asks_for_are_left_out():
    spec = importlib.util.spec_from_file_location("lock_versions", PROJECT / "tools" / "lock_versions.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    entries = [f"{name} \\\n    --hash=sha256:a\n" for name in ("torch==2.0", "torchsde==1.0", "nvidia-nccl-cu13==2 ; linux")]
    assert tool.without_torch("".join(entries)) == entries[1]
