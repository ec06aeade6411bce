"""`python -m lbmigrate` is `lbmigrate`."""

from lbmigrate.cli import main

main()
