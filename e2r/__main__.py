"""`python -m e2r` is the command line."""

from e2r.cli import main

main()
