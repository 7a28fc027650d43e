"""What big models take of time and memory on a device, by their real configurations with random weights: nothing is fetched."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
"""A line of a table of figures, by the names of its columns."""
