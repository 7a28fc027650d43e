"""Names of the presets, apart from their curves: what only checks a name need not load PyTorch."""

PRESET_NAMES = ("turn", "orbit", "arc", "spiral", "dolly")
