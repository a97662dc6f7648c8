"""What channels, partners and people call: Flask blueprints at the edge."""
