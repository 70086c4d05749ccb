"""The indexes that the real queries need: each line says which."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A person's calendar page, either way, and their newest drafts.
    op.create_index("ix_posts_user_id_calendar_at_id", "posts", ["user_id", "calendar_at", "id"])
    op.create_index("ix_posts_user_id_created_at_id", "posts", ["user_id", "created_at", "id"])
    # One account's posts in order.
    op.create_index(
        "ix_post_targets_account_id_calendar_at_post_id", "post_targets", ["account_id", "calendar_at", "post_id"]
    )
    # The due claim: only what waits for a worker is in it, so it stays as small as the queue.
    op.create_index(
        "ix_post_targets_due",
        "post_targets",
        ["next_attempt_at", "id"],
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    # Leases that ran out.
    op.create_index(
        "ix_post_targets_leased", "post_targets", ["lease_until"], postgresql_where=sa.text("lease_until IS NOT NULL")
    )
    # The operators' counts, and retrying what failed by its cause.
    op.create_index(
        "ix_post_targets_open",
        "post_targets",
        ["status", "error_code"],
        postgresql_where=sa.text("status NOT IN ('PUBLISHED', 'CANCELED', 'DRAFT')"),
    )
    # A target's ledger in order.
    op.create_index("ix_attempts_target_id_id", "attempts", ["target_id", "id"])
    # A person's accounts in order, and the tokens that end next.
    op.create_index("ix_accounts_user_id_id", "accounts", ["user_id", "id"])
    op.create_index(
        "ix_accounts_expiring",
        "accounts",
        ["expires_at"],
        postgresql_where=sa.text("status IN ('CONNECTED', 'EXPIRING')"),
    )
    # A delivery's own slots, and slots that count nowhere any more.
    op.create_index("ix_quota_slots_delivery", "quota_slots", ["delivery"])
    op.create_index("ix_quota_slots_taken_at", "quota_slots", ["taken_at"])
    # Old idempotency keys leave by age.
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def downgrade() -> None:
    op.drop_index("ix_idempotency_keys_created_at", table_name="idempotency_keys")
    op.drop_index("ix_quota_slots_taken_at", table_name="quota_slots")
    op.drop_index("ix_quota_slots_delivery", table_name="quota_slots")
    op.drop_index("ix_accounts_expiring", table_name="accounts")
    op.drop_index("ix_accounts_user_id_id", table_name="accounts")
    op.drop_index("ix_attempts_target_id_id", table_name="attempts")
    op.drop_index("ix_post_targets_open", table_name="post_targets")
    op.drop_index("ix_post_targets_leased", table_name="post_targets")
    op.drop_index("ix_post_targets_due", table_name="post_targets")
    op.drop_index("ix_post_targets_account_id_calendar_at_post_id", table_name="post_targets")
    op.drop_index("ix_posts_user_id_created_at_id", table_name="posts")
    op.drop_index("ix_posts_user_id_calendar_at_id", table_name="posts")
