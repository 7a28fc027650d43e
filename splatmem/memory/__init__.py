"""The spatial memory: what is written, what of a view is known, and the session on disk."""

from splatmem.memory.reading import MemoryReading
from splatmem.memory.spatial_memory import SpatialMemory, StoredView, WriteReport

__all__ = ["MemoryReading", "SpatialMemory", "StoredView", "WriteReport"]
