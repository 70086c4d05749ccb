"""All SQL about people's data."""
