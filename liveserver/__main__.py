"""``python -m liveserver``: the same as the command ``liveserver``."""

from liveserver.cli import main

main()
