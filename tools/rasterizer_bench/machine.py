"""Names the machine, so that figures can be judged and are never mixed with those of another."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def describe() -> str:
    """The processor as it describes itself, and how many of its cores there are."""
    fields = _cpuinfo()
    model = fields.get("model name") or platform.processor() or platform.machine()
    details = [f"{name} {fields[key]}" for name, key in (("family", "cpu family"), ("model", "model")) if key in fields]
    if "hypervisor" in fields.get("flags", "").split():
        details.append("in a virtual machine")
    cores = os.cpu_count() or 1
    return f"{cores} core{'s' * (cores > 1)} of {model}" + f" ({', '.join(details)})" * bool(details)


def _cpuinfo() -> dict[str, str]:
    """What Linux says of the first processor; empty elsewhere."""
    try:
        first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":")[::2] for line in first.splitlines())
    return {key.strip(): value.strip() for key, value in pairs}
