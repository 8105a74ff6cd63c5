"""The PostgreSQL of the experiments really goes down, and keeps what it committed."""

from collections.abc import Iterator

import psycopg
import pytest

from ..conftest import need
from ..servers import postgres
from .cluster import Cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    binaries = postgres.find_binaries()
    need("postgres", binaries, postgres.ADVICE)
    assert binaries
    with Cluster(binaries) as found:
        yield found


def test_what_is_committed_outlives_a_stop_at_once(cluster: Cluster) -> None:
    postgres.execute(cluster.url, "CREATE TABLE kept AS SELECT 1 AS number")
    cut_off = psycopg.connect(cluster.url)
    cut_off.execute("INSERT INTO kept VALUES (2)")
    cluster.stop()
    cut_off.close()
    cluster.start()
    with psycopg.connect(cluster.url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(1,)]


def test_a_second_start_changes_nothing(cluster: Cluster) -> None:
    cluster.start()
    cluster.start()
    cluster.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(cluster.url)
    cluster.start()
    psycopg.connect(cluster.url).close()
