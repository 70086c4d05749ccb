"""Where accounts and people come from."""

from services.domain.ids import Kind
from services.models import ACCOUNTS, USERS
from services.queries.mappings.fields import Column, Elsewhere, Id, Mapping, Moment, Pages, Word

ACCOUNT = Mapping(
    table=ACCOUNTS,
    owner="user_id",
    fields={
        "id": Id(Kind.ACCOUNT),
        "platform": Word("platform"),
        "handle": Column("handle"),
        "displayName": Column("display_name"),
        "avatarUrl": Column("avatar_url"),
        "status": Word("status"),
        "expiresAt": Moment("expires_at"),
        "expiryWarning": Column("expiry_warning"),
        "rateLimit": Elsewhere(by=("user_id", "platform")),
        "circuitBreaker": Elsewhere(by=("platform",)),
        "posts": Pages("Post", "posts of an account"),
    },
)

USER = Mapping(
    table=USERS,
    owner="id",
    fields={
        "id": Id(Kind.USER),
        "name": Column("name"),
        "role": Word("role"),
    },
)
