"""Parts of tools/bench_rasterizer.py: scenes, what is timed on them, the machine's roofs, and the report."""
