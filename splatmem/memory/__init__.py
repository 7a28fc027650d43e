"""The spatial memory: what is written, what of a view is known, and the session on disk."""

from splatmem.memory.spatial_memory import MemoryReading, SpatialMemory, WriteReport
from splatmem.memory.stored_view import PlainPictures, StoredView

__all__ = ["MemoryReading", "PlainPictures", "SpatialMemory", "StoredView", "WriteReport"]
