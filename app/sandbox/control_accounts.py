"""The control API's hand on accounts and tokens: make an account that works at once, end its tokens."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.sandbox import naming
from app.sandbox.control_requests import ControlRefused, read_order
from app.sandbox.oauth.tokens import issue_working_tokens
from app.sandbox.records import Account, Person, PlatformName, Token
from app.sandbox.world import World


class AccountOrder(BaseModel):
    """`POST /control/accounts`: a new account, or with `id` one that is there; either way with fresh tokens."""

    model_config = ConfigDict(extra="forbid")

    platform: PlatformName
    id: str | None = None
    handle: str | None = None
    name: str | None = None
    owner: str | None = None
    scopes: list[str] | None = None


class TokenOrder(BaseModel):
    """`POST /control/tokens`: end all tokens of an account, or of a person on Facebook, in one of two ways.

    `expire` ends access tokens as time would (190/463; Google's refresh token still works), `revoke` ends refresh
    tokens too, as a changed password or a removed app would (190 with `subcode`).
    """

    model_config = ConfigDict(extra="forbid")

    account: str
    action: Literal["expire", "revoke"]
    subcode: int = 460


class AccountControl:
    """Accounts and tokens under `/control`."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def list_accounts(self, request: Request) -> Response:
        """All people and accounts, without tokens."""
        del request
        return JSONResponse(
            {
                "people": [person.model_dump() for person in self._world.people.values()],
                "accounts": [account.model_dump() for account in self._world.accounts.values()],
            }
        )

    async def create_account(self, request: Request) -> Response:
        """Make or find an account and give it tokens that work."""
        order = await read_order(request, AccountOrder)
        account = self._find(order) or self._make(order)
        tokens = issue_working_tokens(self._world, account, scopes=order.scopes)
        access = tokens["access"]
        return JSONResponse(
            {
                "account": account.model_dump(),
                "access_token": access.value,
                "refresh_token": tokens["refresh"].value if "refresh" in tokens else None,
                "user_token": tokens["user"].value if "user" in tokens else None,
                "expires_at": access.expires_at.isoformat() if access.expires_at else None,
                "scopes": access.scopes,
            },
            201,
        )

    async def end_tokens(self, request: Request) -> Response:
        """Expire or revoke."""
        order = await read_order(request, TokenOrder)
        ended = [token for token in list(self._world.tokens.values()) if self._is_meant(token, order)]
        for token in ended:
            if order.action == "expire":
                token.expires_at = self._world.clock.now()
            else:
                token.killed_by = order.subcode
            self._world.save(token)
        return JSONResponse({"ended": len(ended)})

    def _find(self, order: AccountOrder) -> Account | None:
        if order.id is None:
            return None
        account = self._world.accounts.get(order.id)
        if account is None or account.platform != order.platform:
            raise ControlRefused(404, f"no {order.platform} account {order.id}")
        return account

    def _make(self, order: AccountOrder) -> Account:
        world = self._world
        if order.owner is not None and order.owner not in world.people:
            raise ControlRefused(404, f"no person {order.owner}")
        handle = order.handle or f"guest{naming.number('', length=6)}"
        name = order.name or handle
        owner = order.owner
        if owner is None:
            owner = naming.number("1022")
            world.save(Person(id=owner, name=name))
        account = Account(id=_new_id(order.platform), platform=order.platform, handle=handle, name=name, owner=owner)
        world.save(account)
        return account

    def _is_meant(self, token: Token, order: TokenOrder) -> bool:
        if order.action == "expire" and token.kind == "google_refresh":
            return False
        account = self._world.accounts.get(order.account)
        owner = account.owner if account is not None and account.platform == "facebook" else None
        return token.subject in (order.account, owner)


def _new_id(platform: PlatformName) -> str:
    if platform == "youtube":
        return "UC" + naming.code(22)
    return naming.number("17841") if platform == "instagram" else naming.number("11", length=15)
