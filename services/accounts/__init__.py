"""Connecting accounts, keeping their tokens fresh, and letting them go."""

from services.accounts.service import AccountService
from services.accounts.tokens import TokenKeeper

__all__ = ["AccountService", "TokenKeeper"]
