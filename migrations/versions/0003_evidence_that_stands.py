"""evidence that stands, and people who are forgotten"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KINDS = ("asked", "confirmed", "imported", "unsubscribed")

# What must stay as it was written, and the only rows that may go: those of somebody who was erased.
ERASED = """
    SELECT 1 FROM subscription JOIN subscriber ON subscriber.id = subscription.subscriber_id
    WHERE subscription.id = OLD.subscription_id AND subscriber.erased_at IS NOT NULL
    AND subscriber.email IS NULL AND subscriber.email_hash IS NULL"""
KEPT = ("consent_event", "wording", "audit")


def upgrade() -> None:
    op.create_table(
        "wording",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", words("sign-up", "privacy-notice", name="kind"), nullable=False),
        sa.Column("language", sa.String(length=10), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("first_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wording")),
        sa.UniqueConstraint("kind", "language", "sha256", name=op.f("uq_wording_kind_language_sha256")),
    )
    op.create_table(
        "suppression",
        sa.Column("email_hash", sa.String(length=64), nullable=False),
        sa.Column("reason", words("asked", "left", name="reason"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("email_hash", name=op.f("pk_suppression")),
    )
    op.create_table(
        "pepper",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pepper")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(length=100), nullable=False),
        sa.Column("act", sa.String(length=50), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_table(
        "chore",
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chore")),
    )
    op.add_column("subscriber", sa.Column("email_hash", sa.String(length=64), nullable=True))
    op.create_index(op.f("ix_subscriber_email_hash"), "subscriber", ["email_hash"], unique=True)
    with op.batch_alter_table("consent_event") as batch_op:
        batch_op.drop_constraint("kind", type_="check")
        batch_op.alter_column("wording", new_column_name="basis", existing_type=sa.Text(), nullable=True)
        batch_op.add_column(sa.Column("wording_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("notice_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("frequency", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("topics", sa.JSON(), nullable=True))
        for name in ("wording_id", "notice_id"):
            batch_op.create_foreign_key(batch_op.f(f"fk_consent_event_{name}_wording"), "wording", [name], ["id"])
    guard()


def guard() -> None:
    """Refuse changes in the database itself. A later migration that makes `consent_event` anew on SQLite (as
    `batch_alter_table` does) loses its triggers and must make them again."""
    if op.get_bind().dialect.name == "sqlite":
        guard_sqlite()
    else:
        guard_postgresql()


def guard_sqlite() -> None:
    for table in KEPT:
        excuse = f"WHEN NOT EXISTS ({ERASED})" if table == "consent_event" else ""
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}")
        op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {excuse} {refuse}")
        # INSERT OR REPLACE deletes without a word to the trigger above.
        there = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id)"  # noqa: S608 - names of ours
        op.execute(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} {there} {refuse}")


def guard_postgresql() -> None:
    op.execute(
        f"""CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'consent_event' THEN
                IF EXISTS ({ERASED}) THEN
                    RETURN OLD;
                END IF;
            END IF;
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
        END $$"""
    )
    for table in KEPT:
        refuse = "EXECUTE FUNCTION refuse_change()"
        op.execute(f"CREATE TRIGGER {table}_rows BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {refuse}")
        op.execute(f"CREATE TRIGGER {table}_all BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {refuse}")


def words(*allowed: str, name: str) -> sa.Enum:
    return sa.Enum(*allowed, name=name, native_enum=False, create_constraint=True, length=20)


def downgrade() -> None:
    """Wordings go back into their events. People whose address was forgotten stay forgotten."""
    unguard()
    op.execute(
        "UPDATE consent_event SET basis = coalesce("
        "(SELECT text FROM wording WHERE wording.id = consent_event.wording_id), basis, '')"
    )
    # Events of kinds that were unknown then.
    op.execute(
        sa.text("DELETE FROM consent_event WHERE kind NOT IN :kinds").bindparams(
            sa.bindparam("kinds", KINDS, expanding=True)
        )
    )
    with op.batch_alter_table("consent_event") as batch_op:
        for name in ("wording_id", "notice_id"):
            batch_op.drop_constraint(batch_op.f(f"fk_consent_event_{name}_wording"), type_="foreignkey")
            batch_op.drop_column(name)
        batch_op.drop_column("topics")
        batch_op.drop_column("frequency")
        batch_op.alter_column("basis", new_column_name="wording", existing_type=sa.Text(), nullable=False)
        batch_op.create_check_constraint("kind", sa.column("kind").in_(KINDS))
    # Not in a batch, which would make the table anew: rows of others point to it.
    op.drop_index("ix_subscriber_email_hash", table_name="subscriber")
    op.drop_column("subscriber", "email_hash")
    for table in ("chore", "audit", "pepper", "suppression", "wording"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")


def unguard() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in KEPT:
            for what in ("update", "delete", "replace"):
                op.execute(f"DROP TRIGGER {table}_no_{what}")
    else:
        for table in KEPT:
            op.execute(f"DROP TRIGGER {table}_rows ON {table}")
            op.execute(f"DROP TRIGGER {table}_all ON {table}")
