"""A tiny Wan VACE, and what it is given."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

import tiny_models
import vace_contract


@pytest.fixture(scope="session")
def tiny_wan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder; with one transformer, as of Wan 2.1."""
    return tiny_models.wan_vace(tmp_path_factory.mktemp("wan") / "tiny")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """Every call of a Wan VACE pipeline."""
    return vace_contract.record_calls(monkeypatch)
