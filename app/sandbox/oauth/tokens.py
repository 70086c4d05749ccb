"""Tokens: how long each kind lives, and how an account gets a working one without a browser."""

from datetime import timedelta

from app.sandbox import naming
from app.sandbox.records import Account, Token, TokenKind
from app.sandbox.world import World

LIFETIMES: dict[TokenKind, timedelta | None] = {
    "instagram_short": timedelta(hours=1),
    "instagram_long": timedelta(days=60),
    "facebook_user_short": timedelta(hours=2),
    "facebook_user_long": timedelta(seconds=5_183_944),
    "facebook_page": None,
    "google_access": timedelta(hours=1),
    "google_refresh": None,
}
_PREFIXES = {"instagram": "IGAAsandbox", "facebook": "EAAsandbox", "google": "ya29.sandbox"}
_YOUTUBE = "https://www.googleapis.com/auth/youtube"

ALL_SCOPES = {
    "instagram": ["instagram_business_basic", "instagram_business_content_publish"],
    "facebook": ["pages_show_list", "pages_read_engagement", "pages_manage_posts", "business_management"],
    "youtube": [f"{_YOUTUBE}.upload", f"{_YOUTUBE}.readonly"],
}


def issue_token(
    world: World,
    kind: TokenKind,
    *,
    subject: str,
    client_id: str,
    scopes: list[str],
    lifetime: timedelta | None = None,
) -> Token:
    """A fresh token of a kind, living as long as its kind does unless said otherwise."""
    now = world.clock.now()
    lives = lifetime or LIFETIMES[kind]
    prefix = "1//sandbox" if kind == "google_refresh" else _PREFIXES[kind.partition("_")[0]]
    token = Token(
        value=naming.secret(prefix),
        kind=kind,
        subject=subject,
        client_id=client_id,
        scopes=scopes,
        issued_at=now,
        expires_at=None if lives is None else now + lives,
    )
    world.save(token)
    return token


def seconds_left(world: World, token: Token) -> int:
    """`expires_in`: whole seconds until the token ends, 0 for one that does not."""
    return 0 if token.expires_at is None else round((token.expires_at - world.clock.now()).total_seconds())


def issue_working_tokens(world: World, account: Account, *, scopes: list[str] | None = None) -> dict[str, Token]:
    """What a finished OAuth round trip would have left: `access`, and `refresh` or `user` where the platform has it."""
    client_id = next(iter(world.clients))
    granted = ALL_SCOPES[account.platform] if scopes is None else scopes

    def issue(kind: TokenKind, subject: str) -> Token:
        return issue_token(world, kind, subject=subject, client_id=client_id, scopes=granted)

    if account.platform == "instagram":
        return {"access": issue("instagram_long", account.id)}
    if account.platform == "facebook":
        return {"access": issue("facebook_page", account.id), "user": issue("facebook_user_long", account.owner)}
    return {"access": issue("google_access", account.id), "refresh": issue("google_refresh", account.id)}
