"""The platforms' own HTTP APIs, one client each, behind one protocol."""
