"""senders side by side: a seat each, the folder of their journal, and a pace that they keep together"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run", sa.Column("seat", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("run", sa.Column("folder", sa.String(32), nullable=False, server_default=""))
    op.create_table(
        "pace",
        sa.Column("name", sa.String(300), nullable=False),
        sa.Column("free_at", sa.Double(), nullable=False),
        sa.Column("tail_at", sa.Double(), nullable=False),
        sa.Column("rate", sa.Double(), nullable=True),
        sa.Column("slowed_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_pace")),
    )


def downgrade() -> None:
    op.drop_table("pace")
    op.drop_column("run", "folder")
    op.drop_column("run", "seat")
