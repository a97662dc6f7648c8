"""The ERP: customers, contract prices and tax; sales orders, shipment confirmations and invoices."""
