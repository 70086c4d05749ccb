"""Connected accounts and the OAuth round trips under way."""

from uuid import UUID

from sqlalchemy import ForeignKey, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from services.domain.accounts import AccountStatus, Platform
from services.models.base import Base, Created, Key, Moment, one_of


class AccountRow(Base):
    """One account; both tokens are sealed with the row's id as associated data (services.backends.secrets)."""

    __tablename__ = "accounts"
    __table_args__ = (
        UniqueConstraint("user_id", "platform", "external_id"),
        one_of("platform", Platform),
        one_of("status", AccountStatus),
        Index("ix_accounts_user_id_id", "user_id", "id"),
        Index("ix_accounts_expiring", "expires_at", postgresql_where=text("status IN ('CONNECTED', 'EXPIRING')")),
    )

    id: Mapped[Key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    platform: Mapped[str]
    external_id: Mapped[str]
    handle: Mapped[str]
    display_name: Mapped[str]
    avatar_url: Mapped[str | None]
    status: Mapped[str]
    access_token: Mapped[bytes | None]
    refresh_token: Mapped[bytes | None]
    expires_at: Mapped[Moment | None]
    expiry_warning: Mapped[int | None] = mapped_column(SmallInteger)
    refreshing_until: Mapped[Moment | None]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default="{}")
    created_at: Mapped[Created]
    updated_at: Mapped[Created]


class OAuthStateRow(Base):
    """One OAuth round trip under way; the state is stored hashed, used once and short-lived."""

    __tablename__ = "oauth_states"

    state_hash: Mapped[bytes] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    platform: Mapped[str]
    code_verifier: Mapped[bytes]
    expires_at: Mapped[Moment] = mapped_column(index=True)
