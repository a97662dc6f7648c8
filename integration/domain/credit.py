"""Whether a customer may order for so much more."""


def exceeds_credit(limit_minor: int, exposure_minor: int, own_open_minor: int, total_minor: int) -> bool:
    """True when the ERP's last exposure, our open orders that it does not know yet, and this order pass the limit."""
    return exposure_minor + own_open_minor + total_minor > limit_minor
