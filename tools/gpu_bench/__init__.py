"""What the package's models and kernels take on a GPU: see ``tools/measure_gpu.py``."""
