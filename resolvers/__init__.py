"""Who asks, how much, through which loader and from which cache: plain async functions."""
