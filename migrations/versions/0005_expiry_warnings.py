"""How far a person has been warned of the end of an account's connection: 14, 7 or 1 days."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("expiry_warning", sa.SmallInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("accounts", "expiry_warning")
