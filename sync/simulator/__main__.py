"""The folder alone, copied into another project, starts as `python -m simulator`."""

import sys

from .command import main

sys.exit(main(sys.argv[1:]))
