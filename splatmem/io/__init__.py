"""Reading and writing files: photos, video, splats, camera paths; every file appears whole or not at all."""
