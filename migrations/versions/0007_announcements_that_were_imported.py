"""announcements that were imported"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("announcement", sa.Column("source", sa.String(length=500), nullable=True))
    op.add_column("announcement", sa.Column("source_hash", sa.String(length=64), nullable=True))
    op.create_index(op.f("ix_announcement_list_id_source"), "announcement", ["list_id", "source"], unique=True)


def downgrade() -> None:
    op.drop_index(op.f("ix_announcement_list_id_source"), table_name="announcement")
    op.drop_column("announcement", "source_hash")
    op.drop_column("announcement", "source")
