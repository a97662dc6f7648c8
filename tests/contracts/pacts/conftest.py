"""Pact's library counts its uses over the network unless it is told not to."""

import os

os.environ["PACT_DO_NOT_TRACK"] = "true"
