"""The errors of partners; the tree is drawn in the package docstring."""


class PartnerError(Exception):
    """Base of what a partner raises about its own set-up."""


class ProfileError(PartnerError):
    """A profile that cannot be used; the message names the file, the offending key or value, and what is possible."""
