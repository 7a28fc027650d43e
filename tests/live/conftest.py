"""The scene of the edit tests: a red block before a striped wall."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "edit"))
