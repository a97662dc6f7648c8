"""How a live process ends that can't go on: one sentence, and an exit code that says whose fault it is."""

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from integration.runtime import IntegrationError
from integration.settings import SettingsError

# What a user can mend; anything else that stops us is 3, as everywhere in the product.
USAGE, BROKEN = 2, 3

P = ParamSpec("P")
R = TypeVar("R")


def told_in_a_sentence(function: Callable[P, R]) -> Callable[P, R]:
    """A command whose failures of our own kinds end it with their message instead of a trace."""

    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except SettingsError as error:
            sys.stderr.write(f"{error}\n")
            sys.exit(USAGE)
        except IntegrationError as error:
            sys.stderr.write(f"{error}\n")
            sys.exit(BROKEN)

    return command
