"""`python -m lbmigrate` is `lbmigrate`."""

from lbmigrate.cli.main import main

main()
