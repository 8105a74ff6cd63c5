"""runs, and a queue that needs no index"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OLD_QUEUE = sa.text("state IN ('queued', 'deferred', 'sending')")
WAITS = sa.text("next_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("digest_id", sa.Integer(), nullable=True),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("journaled", sa.BigInteger(), nullable=False),
        sa.Column("rate", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["digest_id"], ["digest.id"], name=op.f("fk_run_digest_id_digest")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("uid", name=op.f("uq_run_uid")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("digest") as batch_op:
        batch_op.add_column(sa.Column("cursor", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("rate", sa.Integer(), nullable=True))
    # Letters on the wire at the moment of an upgrade: nobody can know, so they are held and named.
    op.execute("UPDATE delivery SET state = 'unknown', settled_at = CURRENT_TIMESTAMP WHERE state = 'sending'")
    with op.batch_alter_table("delivery") as batch_op:
        batch_op.drop_constraint(op.f("ck_delivery_next_at"), type_="check")
        batch_op.drop_index("ix_delivery_queue")
        batch_op.drop_index("ix_delivery_edition_id")
        batch_op.add_column(sa.Column("run_id", sa.Integer(), nullable=True))
        batch_op.create_check_constraint(op.f("ck_delivery_next_at"), "state <> 'deferred' OR next_at IS NOT NULL")
        batch_op.create_check_constraint(op.f("ck_delivery_run_id"), "(state = 'sending') = (run_id IS NOT NULL)")
        batch_op.create_index(
            "ix_delivery_next_at", ["digest_id", "next_at"], sqlite_where=WAITS, postgresql_where=WAITS
        )
    op.execute("UPDATE delivery SET next_at = created_at WHERE state = 'queued'")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE delivery SET (fillfactor = 60)")


def downgrade() -> None:
    op.execute("UPDATE delivery SET state = 'unknown', run_id = NULL WHERE state = 'sending'")
    op.execute("UPDATE delivery SET next_at = NULL WHERE state <> 'deferred'")
    with op.batch_alter_table("delivery") as batch_op:
        batch_op.drop_index("ix_delivery_next_at")
        batch_op.drop_constraint(op.f("ck_delivery_run_id"), type_="check")
        batch_op.drop_constraint(op.f("ck_delivery_next_at"), type_="check")
        batch_op.drop_column("run_id")
        batch_op.create_check_constraint(op.f("ck_delivery_next_at"), "(state = 'deferred') = (next_at IS NOT NULL)")
        batch_op.create_index("ix_delivery_edition_id", ["edition_id"])
        batch_op.create_index(
            "ix_delivery_queue", ["digest_id", "state", "id"], sqlite_where=OLD_QUEUE, postgresql_where=OLD_QUEUE
        )
    with op.batch_alter_table("digest") as batch_op:
        batch_op.drop_column("rate")
        batch_op.drop_column("cursor")
    op.drop_table("run")
