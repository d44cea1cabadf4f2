"""Thin mains over the library: `python -m scripts.train --help`."""
