"""Pages of market data."""
