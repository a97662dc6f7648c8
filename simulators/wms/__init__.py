"""A warehouse: takes releases, works them in waves with limited hands, tells by webhook, ships at the dock."""
