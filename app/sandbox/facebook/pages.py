"""The Page behind a call: only its own token writes for it or reads what is not public."""

from app.sandbox.calls import Call
from app.sandbox.graph.access import enter, own_account
from app.sandbox.graph.errors import GraphError, missing_object
from app.sandbox.records import Account, Publication, Token
from app.sandbox.world import World

WRITE = "pages_manage_posts"
READ = "pages_read_engagement"


def enter_page(world: World, call: Call, *, scope: str) -> Account:
    """The Page that the path names, for a call with its own Page token."""
    token = enter_with_page_token(world, call, scope=scope)
    return own_account(world, call, token)


def enter_with_page_token(world: World, call: Call, *, scope: str) -> Token:
    """The Page token of a call; a person's token is refused with code 200, as is a missing scope when writing."""
    token = enter(world, call)
    if token.kind != "facebook_page":
        raise GraphError("(#200) A Page access token is required for this call.", 200, status=403)
    if scope not in token.scopes:
        code = 200 if scope == WRITE else 10
        raise GraphError(f"(#{code}) Requires {scope} permission.", code, status=403)
    return token


def own_publication(world: World, call: Call, token: Token) -> Publication:
    """The publication or draft that the path names; anybody else's looks missing."""
    publication = world.find_publication(call.param("node"))
    if publication is None or publication.account_id != token.subject:
        raise missing_object(call.param("node"), call.method)
    return publication
