"""`python -m peakproof` is `peakproof`."""

import sys
from pathlib import Path

# Python puts the working directory first, and its `reports` folder, where runs land, would hide the package `reports`
# of an editable installation.
_ROOT = Path(__file__).resolve().parents[1]
if Path.cwd() != _ROOT:
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path.cwd()]

from peakproof.cli import main  # noqa: E402 - only now is it certain which packages are found

main()
