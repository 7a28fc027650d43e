"""Models from folders or the hub: finding them, checking their files, loading, and placing them on the hardware."""
