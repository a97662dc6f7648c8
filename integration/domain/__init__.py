"""What the integration decides. Pure: the standard library only, no clock, no chance, no storage."""
