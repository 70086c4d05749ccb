"""What stands before a call that costs: limits and circuit breakers."""
