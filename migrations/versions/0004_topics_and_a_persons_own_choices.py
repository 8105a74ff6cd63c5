"""topics, and a person's own choices"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENTS = ("not_me_at", "paused_until", "manage_from")
LETTERS = ("digest", "confirmation", "already-subscribed")
NEW_LETTERS = ("manage-link", "address-change", "goodbye")
# What each database calls taking a JSON array apart.
TAKEN_APART = {
    "sqlite": "json_each({column}) AS chosen",
    "postgresql": "json_array_elements_text({column}) AS chosen(value)",
}


def upgrade() -> None:
    op.create_table(
        "topic",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["list_id"], ["list.id"], name=op.f("fk_topic_list_id_list")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topic")),
        sa.UniqueConstraint("list_id", "key", name=op.f("uq_topic_list_id_key")),
    )
    op.create_table(
        "subscription_topic",
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("topic_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscription.id"],
            name=op.f("fk_subscription_topic_subscription_id_subscription"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["topic_id"], ["topic.id"], name=op.f("fk_subscription_topic_topic_id_topic"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("subscription_id", "topic_id", name=op.f("pk_subscription_topic")),
    )
    take_over()
    op.create_index(op.f("ix_subscription_topic_topic_id"), "subscription_topic", ["topic_id"])
    op.drop_column("subscription", "topics")
    for name in MOMENTS:
        op.add_column("subscription", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("subscription", sa.Column("left_because", sa.String(length=20), nullable=True))
    op.create_table(
        "move",
        sa.Column("to_id", sa.Integer(), nullable=False),
        sa.Column("from_id", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("to_id <> from_id", name=op.f("ck_move_to_another")),
        sa.ForeignKeyConstraint(
            ["to_id"], ["subscription.id"], name=op.f("fk_move_to_id_subscription"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["from_id"], ["subscription.id"], name=op.f("fk_move_from_id_subscription"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("to_id", name=op.f("pk_move")),
    )
    op.create_index(op.f("ix_move_from_id"), "move", ["from_id"])
    allow_letters(*LETTERS, *NEW_LETTERS)
    op.create_table(
        "mail_server",
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("international", sa.Boolean(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_mail_server")),
    )


def allow_letters(*kinds: str) -> None:
    """A table of a few rows that large ones refer to."""
    with op.batch_alter_table("edition") as batch_op:
        batch_op.drop_constraint("letter", type_="check")
        batch_op.create_check_constraint("letter", sa.column("letter").in_(kinds))


def take_over() -> None:
    """Topics out of what announcements are about and people chose, in the order of the alphabet; then the choices."""
    apart = TAKEN_APART[op.get_bind().dialect.name]
    keys = " UNION ".join(
        f"SELECT {table}.list_id, chosen.value FROM {table}, {apart.format(column=f'{table}.topics')}"  # noqa: S608
        for table in ("announcement", "subscription")
    )
    op.execute(
        "INSERT INTO topic (list_id, key, names, position) SELECT list_id, value, '{}', "  # noqa: S608
        f"row_number() OVER (PARTITION BY list_id ORDER BY value) FROM ({keys}) AS found"
    )
    op.execute(
        "INSERT INTO subscription_topic (subscription_id, topic_id) SELECT DISTINCT subscription.id, topic.id "  # noqa: S608
        f"FROM subscription, {apart.format(column='subscription.topics')}, topic "
        "WHERE topic.list_id = subscription.list_id AND topic.key = chosen.value"
    )


def downgrade() -> None:
    """Letters of kinds that were unknown then go, with the words they were written in."""
    unknown = f"SELECT id FROM edition WHERE letter IN {NEW_LETTERS}"  # noqa: S608
    op.execute(f"DELETE FROM delivery WHERE edition_id IN ({unknown})")  # noqa: S608
    op.execute(f"DELETE FROM edition WHERE id IN ({unknown})")  # noqa: S608
    allow_letters(*LETTERS)
    op.drop_table("mail_server")
    op.drop_table("move")
    for name in (*MOMENTS, "left_because"):
        op.drop_column("subscription", name)
    op.add_column("subscription", sa.Column("topics", sa.JSON(), nullable=False, server_default="[]"))
    together = "json_group_array(topic.key)" if op.get_bind().dialect.name == "sqlite" else "json_agg(topic.key)"
    op.execute(
        f"UPDATE subscription SET topics = (SELECT {together} FROM subscription_topic "  # noqa: S608
        "JOIN topic ON topic.id = topic_id WHERE subscription_id = subscription.id) "
        "WHERE id IN (SELECT subscription_id FROM subscription_topic)"
    )
    op.drop_table("subscription_topic")
    op.drop_table("topic")
