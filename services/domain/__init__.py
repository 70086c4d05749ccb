"""Frozen values and the rules about them; no I/O, no libraries of transport or storage."""
