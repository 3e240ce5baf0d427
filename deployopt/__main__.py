"""`python -m deployopt` is `deployopt`."""

from deployopt.cli.main import main

main()
