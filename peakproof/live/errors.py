"""Errors of real-time runs.

LiveError          the user can mend it
└── PortTaken      another program listens where a simulator should

Undecided          nothing is wrong with the target as far as anybody knows, but what was played can't be judged
"""


class LiveError(Exception):
    """What is wrong and what to do about it, in a sentence."""


class Undecided(Exception):
    """Why, in a sentence."""


class PortTaken(LiveError):
    """A port that can't be had. `host` and `port` say which, `name` for whom."""

    def __init__(self, host: str, port: int, name: str, reason: str) -> None:
        super().__init__(
            f"port {port} on {host}, for {name}, can't be had ({reason}): "
            "end what listens there, or move all ports with --port-base"
        )
        self.host = host
        self.port = port
        self.name = name
