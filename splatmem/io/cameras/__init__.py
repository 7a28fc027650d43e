"""Cameras in the files of other programs, for writing; ``splatmem.io.path_files`` reads what can be read."""
