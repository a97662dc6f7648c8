"""The front door: the command line, one small module per verb."""
