"""PostgreSQL, Redis and secrets: the machinery that services stand on."""
