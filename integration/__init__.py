"""The reference integration: takes orders from channels and sees them through ERP, warehouses, 3PL and carrier."""
