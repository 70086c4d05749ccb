"""Instagram, Facebook Pages and YouTube as one strict local server, with faults on demand.

It forgives nothing and deduplicates nothing: what a client sends twice is published twice, and counted twice.
"""

from app.sandbox.server import create_sandbox

__all__ = ["create_sandbox"]
