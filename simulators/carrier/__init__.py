"""The carrier: rates, paid labels, and parcels that are scanned on their way over days."""
