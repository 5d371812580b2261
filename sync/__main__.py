"""`python -m sync VERB …` hands the rest of the command line to the verb it names."""

import io
import sys

from sync.cli.verbs import main

if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # a terminal may lack letters that a room's name has
    sys.exit(main(sys.argv[1:]))
