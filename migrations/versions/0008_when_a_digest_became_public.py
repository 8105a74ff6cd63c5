"""when a digest became public"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of those that went to somebody so far nothing tells the moment but their approval, by which they stood in the archive."""
    op.add_column("digest", sa.Column("published_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE digest SET published_at = approved_at "
        "WHERE EXISTS (SELECT 1 FROM delivery WHERE delivery.digest_id = digest.id)"
    )


def downgrade() -> None:
    op.drop_column("digest", "published_at")
