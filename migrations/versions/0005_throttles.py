"""throttles"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "throttle",
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", "at", name=op.f("pk_throttle")),
    )
    op.create_index(op.f("ix_throttle_until"), "throttle", ["until"])


def downgrade() -> None:
    op.drop_index(op.f("ix_throttle_until"), table_name="throttle")
    op.drop_table("throttle")
