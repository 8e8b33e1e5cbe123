"""`python -m gitprov`: the command line, where the script is not on PATH."""

from gitprov.cli import main

main()
