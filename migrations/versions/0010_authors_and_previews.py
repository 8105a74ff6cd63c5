"""authors and previews"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("announcement_translation", sa.Column("author", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("announcement_translation", "author")
