"""The version of this software: said by `python -m sync version` and in every status answer."""

VERSION = "0.1.0"
