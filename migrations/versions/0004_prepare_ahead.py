"""When a target's slow work may begin, so that only the step that shows it is left for its time."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("post_targets", sa.Column("prepare_at", sa.DateTime(timezone=True), nullable=True))
    # What is to be prepared: only what still waits for that is in it.
    op.create_index(
        "ix_post_targets_early",
        "post_targets",
        ["prepare_at", "id"],
        postgresql_where=sa.text("prepare_at IS NOT NULL"),
    )
    # An account's own queue: what of it waits, in the order of its calendar.
    op.create_index(
        "ix_post_targets_waiting",
        "post_targets",
        ["account_id", "calendar_at"],
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_post_targets_waiting", table_name="post_targets")
    op.drop_index("ix_post_targets_early", table_name="post_targets")
    op.drop_column("post_targets", "prepare_at")
