"""What runs beside the command line: the test house behind doors that others can knock on, and real processes."""
