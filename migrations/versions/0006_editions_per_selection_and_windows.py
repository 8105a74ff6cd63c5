"""editions per selection, frozen words, introductions per language, windows"""

import sqlalchemy as sa
from alembic import op

from mailer.config import settings

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

FREQUENCIES = ("immediate", "weekly", "monthly")
MOST_BITS = 62
OWED = sa.text("owed_since IS NOT NULL")


def moment(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=True)


def frequency_check() -> sa.CheckConstraint:
    return sa.CheckConstraint(sa.column("frequency").in_(FREQUENCIES), name="frequency")


def upgrade() -> None:
    add_columns()
    create_tables()
    name_selections()
    # A digest has never had more than one introduction, in a language that was not written down.
    move = sa.text(
        "INSERT INTO introduction (digest_id, language, text) SELECT id, :language, intro FROM digest WHERE intro <> ''"
    )
    op.execute(move.bindparams(language=settings().languages[0]))
    op.drop_column("digest", "intro")


def add_columns() -> None:
    op.add_column("subscription", moment("owed_since"))
    op.add_column("subscription", sa.Column("owed_by", sa.String(length=20), nullable=True))
    op.create_index(
        "ix_subscription_owed", "subscription", ["list_id", "frequency"], sqlite_where=OWED, postgresql_where=OWED
    )
    op.add_column("digest_item", sa.Column("catches_up", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("digest", sa.Column("again", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("digest", sa.Column("in_archive", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("digest", sa.Column("snapshot", sa.JSON(), nullable=True))
    op.add_column("digest", sa.Column("sha256", sa.String(length=64), nullable=True))
    op.add_column("digest", sa.Column("revision", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("digest", sa.Column("erratum", sa.Text(), nullable=True))
    op.add_column("digest", moment("corrected_at"))
    with op.batch_alter_table("edition") as batch_op:  # a table of a few rows
        batch_op.add_column(sa.Column("selection", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("revision", sa.Integer(), nullable=False, server_default="1"))
        batch_op.drop_constraint(op.f("uq_edition_digest_id_language"), type_="unique")
        batch_op.create_unique_constraint(
            op.f("uq_edition_digest_id_language_selection_revision"),
            ["digest_id", "language", "selection", "revision"],
        )


def create_tables() -> None:
    op.create_table(
        "introduction",
        sa.Column("digest_id", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(length=10), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["digest_id"], ["digest.id"], name=op.f("fk_introduction_digest_id_digest")),
        sa.PrimaryKeyConstraint("digest_id", "language", name=op.f("pk_introduction")),
    )
    op.create_table(
        "edition_item",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("announcement_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["edition_id"], ["edition.id"], name=op.f("fk_edition_item_edition_id_edition")),
        sa.ForeignKeyConstraint(
            ["announcement_id"], ["announcement.id"], name=op.f("fk_edition_item_announcement_id_announcement")
        ),
        sa.PrimaryKeyConstraint("edition_id", "announcement_id", name=op.f("pk_edition_item")),
    )
    op.create_table(
        "schedule",
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("frequency", sa.String(length=20), nullable=False),
        sa.Column("at", sa.String(length=20), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        frequency_check(),
        sa.ForeignKeyConstraint(["list_id"], ["list.id"], name=op.f("fk_schedule_list_id_list")),
        sa.PrimaryKeyConstraint("list_id", "frequency", name=op.f("pk_schedule")),
    )
    op.create_table(
        "digest_window",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("frequency", sa.String(length=20), nullable=False),
        sa.Column("begins_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest_id", sa.Integer(), nullable=True),
        sa.Column("passed_over", sa.Boolean(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        frequency_check(),
        sa.CheckConstraint("begins_at < ends_at", name=op.f("ck_digest_window_ends_at")),
        sa.ForeignKeyConstraint(["list_id"], ["list.id"], name=op.f("fk_digest_window_list_id_list")),
        sa.ForeignKeyConstraint(["digest_id"], ["digest.id"], name=op.f("fk_digest_window_digest_id_digest")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_digest_window")),
        sa.UniqueConstraint(
            "list_id", "frequency", "begins_at", name=op.f("uq_digest_window_list_id_frequency_begins_at")
        ),
        sa.UniqueConstraint("digest_id", name=op.f("uq_digest_window_digest_id")),
    )
    op.create_table(
        "window_item",
        sa.Column("announcement_id", sa.Integer(), nullable=False),
        sa.Column("frequency", sa.String(length=20), nullable=False),
        sa.Column("window_id", sa.Integer(), nullable=False),
        frequency_check(),
        sa.ForeignKeyConstraint(
            ["announcement_id"],
            ["announcement.id"],
            name=op.f("fk_window_item_announcement_id_announcement"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["window_id"], ["digest_window.id"], name=op.f("fk_window_item_window_id_digest_window")
        ),
        sa.PrimaryKeyConstraint("announcement_id", "frequency", name=op.f("pk_window_item")),
    )
    op.create_index(op.f("ix_edition_item_announcement_id"), "edition_item", ["announcement_id"])
    op.create_index(op.f("ix_window_item_window_id"), "window_item", ["window_id"])


def name_selections() -> None:
    """Until now an edition held all of its digest's announcements."""
    op.execute(
        "INSERT INTO edition_item (edition_id, announcement_id) SELECT edition.id, announcement_id "
        "FROM edition JOIN digest_item ON digest_item.digest_id = edition.digest_id"
    )
    held = sa.text("SELECT digest_id, COUNT(*) FROM digest_item GROUP BY digest_id")
    for digest_id, count in op.get_bind().execute(held).all():
        everything = (1 << min(count, MOST_BITS)) - 1
        change = sa.text("UPDATE edition SET selection = :everything WHERE digest_id = :digest_id")
        op.execute(change.bindparams(everything=everything, digest_id=digest_id))
    with op.batch_alter_table("edition") as batch_op:
        batch_op.create_check_constraint(op.f("ck_edition_selection"), "(digest_id IS NULL) = (selection IS NULL)")


def downgrade() -> None:
    """One edition in each language, and one introduction, stay as they are. A digest that went out in more editions
    would lose letters with them: it has to stay where it is understood."""
    many = "SELECT COUNT(*) FROM (SELECT digest_id FROM edition WHERE digest_id IS NOT NULL GROUP BY digest_id, language HAVING COUNT(*) > 1) AS found"
    if op.get_bind().scalar(sa.text(many)):
        raise RuntimeError("digests went out in several editions of one language: the older version can't hold them")
    for table in ("window_item", "digest_window", "schedule", "edition_item"):
        op.drop_table(table)
    op.add_column("digest", sa.Column("intro", sa.Text(), nullable=True))
    op.execute(
        "UPDATE digest SET intro = (SELECT text FROM introduction WHERE digest_id = digest.id "
        "ORDER BY language LIMIT 1)"
    )
    op.drop_table("introduction")
    with op.batch_alter_table("edition") as batch_op:
        batch_op.drop_constraint(op.f("ck_edition_selection"), type_="check")
        batch_op.drop_constraint(op.f("uq_edition_digest_id_language_selection_revision"), type_="unique")
        batch_op.create_unique_constraint(op.f("uq_edition_digest_id_language"), ["digest_id", "language"])
        batch_op.drop_column("revision")
        batch_op.drop_column("selection")
    for name in ("corrected_at", "erratum", "revision", "sha256", "snapshot", "in_archive", "again"):
        op.drop_column("digest", name)
    op.drop_column("digest_item", "catches_up")
    op.drop_index("ix_subscription_owed", table_name="subscription")
    op.drop_column("subscription", "owed_by")
    op.drop_column("subscription", "owed_since")
