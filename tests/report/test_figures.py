import json
import math
import re
import sys
from pathlib import Path

import pytest
from splatmem.report import figures
from splatmem.report.figures import peak_memory_bytes, summary, versions, write_json


def test_versions_are_those_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(figures, "REPORTED_PACKAGES", ("splatmem", "torch", "no-such-package"))
    found = versions()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["torch"] == torch.__version__
    assert re.fullmatch(r"\d+\.\d+.*", found["splatmem"])
    assert found["no-such-package"] == "not installed"


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, to compare with /proc")
def test_peak_memory_is_in_bytes() -> None:
    status = Path("/proc/self/status").read_text()
    high_water = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]
    assert peak_memory_bytes() == pytest.approx(high_water, rel=0.05)


class TestSummary:
    def test_smallest_and_mean(self) -> None:
        assert summary([30.0, 40.0, 35.0]) == {"min": 30.0, "mean": 35.0}

    def test_no_difference_counts_as_100_db(self) -> None:
        assert summary([math.inf, 40.0]) == {"min": 40.0, "mean": 70.0}

    def test_what_was_not_measured_is_left_out(self) -> None:
        assert summary([math.nan, 40.0]) == {"min": 40.0, "mean": 40.0}
        assert summary([]) == summary([math.nan]) == {"min": None, "mean": None}


def test_json_is_strict(tmp_path: Path) -> None:
    write_json({"a": [1, 2.5, None], "ü": "Ω"}, tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8")) == {"a": [1, 2.5, None], "ü": "Ω"}
    with pytest.raises(ValueError, match="JSON"):
        write_json({"a": math.nan}, tmp_path / "bad.json")
    assert not (tmp_path / "bad.json").exists()
