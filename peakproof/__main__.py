"""`python -m peakproof` is `peakproof`."""

from peakproof.cli import main

main()
