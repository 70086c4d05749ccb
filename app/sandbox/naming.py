"""Ids and tokens as the platforms make them: the shapes tell them apart, chance keeps them unique over restarts."""

import secrets
import string

_CODE_LETTERS = string.ascii_letters + string.digits + "-_"


def number(prefix: str, *, length: int = 17) -> str:
    """A decimal id that begins with `prefix`: Instagram's containers with 1789, its media with 180, and so on."""
    digits = length - len(prefix)
    return f"{prefix}{secrets.randbelow(10**digits):0{digits}}"


def code(length: int = 11) -> str:
    """Letters as in a permalink: an Instagram shortcode, a YouTube video id. Never begins with a dash."""
    return secrets.choice(string.ascii_letters) + "".join(secrets.choice(_CODE_LETTERS) for _ in range(length - 1))


def secret(prefix: str) -> str:
    """A token or a code that nobody guesses."""
    return prefix + secrets.token_urlsafe(36)
