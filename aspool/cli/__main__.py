"""`python -m aspool.cli`: the same as the program `aspool`."""

from .main import main

main()
