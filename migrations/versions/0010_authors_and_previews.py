"""authors and previews"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("announcement_translation", sa.Column("author", sa.Text(), nullable=True))
    op.add_column("digest", sa.Column("previewed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("digest", sa.Column("previewed", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("digest", "previewed")
    op.drop_column("digest", "previewed_at")
    op.drop_column("announcement_translation", "author")
