"""``python -m splatmem``: the command line, where the ``splatmem`` script is not on the path."""

from splatmem.cli.entry import main

main()
