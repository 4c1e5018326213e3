"""What the host of a PostgreSQL server tells, read from what one really printed."""

from __future__ import annotations

from graph.records import Resource, SshAccess
from graph.resources import Database
from tools.clients.databases.last_position import unsafe_to_promote
from tools.clients.databases.postgresql import how_of, rendered
from tools.clients.databases.postgresql_replication import PostgresReplication, Standby, conninfo_parts, lsn_bytes
from tools.evidence.postgres_host import host_command, parse_host
from tools.postgres_sudoers import postgres_sudoers

DATABASE = Database(
    engine="postgresql", cluster="orders", role="replica", port=5432, data_dir="/var/lib/postgresql/data",
    os_user="postgres", max_promote_lag_bytes=100,
)  # fmt: skip
REPLICA = Resource(
    id="db-2", kind="Database", address="192.0.2.2", services=("postgres",), database=DATABASE,
    ssh=SshAccess(user="ops", key_file="k", known_hosts="h"),
)  # fmt: skip
# In the words of PostgreSQL 15
GONE = "requested WAL segment 000000010000000000000003 has already been removed"
SAID = f"""reach shut
receiver Ts
control 0
log FATAL:  could not receive data from WAL stream: ERROR:  {GONE}
log FATAL:  role "nobody" does not exist
"""


def test_a_hosts_words_become_facts() -> None:
    assert parse_host(SAID) == {
        "repl.primary_reachable": False,
        "repl.receiver_state": "stopped",
        "db.data_present": True,
        "repl.error": f"could not receive data from WAL stream: ERROR: {GONE}",
    }


def test_what_a_host_does_not_tell_is_no_fact() -> None:
    assert parse_host("reach \nreceiver \ncontrol 127\nsudo: a password is required\n") == {}


def test_a_test_that_sudo_refuses_says_nothing_of_the_data() -> None:
    command = host_command(REPLICA, None, None)
    assert "if sudo -n -l test -s /var/lib/postgresql/data/global/pg_control" in command
    # tail without a file would read what nobody ever writes
    assert "</dev/null" in command


def test_a_data_folder_with_spaces_stays_one_word() -> None:
    odd = REPLICA.model_copy(update={"database": DATABASE.model_copy(update={"data_dir": "/srv/my data; reboot"})})
    assert "'/srv/my data; reboot/global/pg_control'" in host_command(odd, None, None)


def test_values_become_literals_and_never_more() -> None:
    assert rendered("select %s, %s, %s", ("it's", 4, None)) == "select 'it''s', 4, NULL"
    assert rendered("select %s", ("a\\'; drop table t",)) == "select  E'a\\\\''; drop table t'".replace("  E", " E")


def test_why_a_connection_came_to_nothing_in_one_word() -> None:
    told = {
        'connection failed: FATAL:  password authentication failed for user "selfheal"': "auth",
        "connection failed: Connection refused": "refused",
        "FATAL:  sorry, too many clients already": "too_many",
        "FATAL:  remaining connection slots are reserved for non-replication superuser connections": "too_many",
        "FATAL:  the database system is starting up": "starting",
        "connection timeout expired": "timeout",
        "something else": "closed",
    }
    assert {said: how_of(said) for said in told} == told


def test_a_password_in_a_connection_string_is_one_of_its_parts() -> None:
    assert conninfo_parts("host=10.0.0.1 port=5432 password='a b'")["password"] == "a b"
    assert conninfo_parts("host=") == {} or "host" in conninfo_parts("host=")
    assert conninfo_parts("no connection string") == {}


def test_whether_the_log_is_still_there_is_told_by_the_oldest_segment() -> None:
    view = Standby(True, "0/9000000", "7", 1, True, False, "", None, None, "", None, None, lsn_bytes("0/5000000"))
    assert view.still_has("0/5000000") is True
    assert view.still_has("0/4FFFFFF") is False
    assert view.still_has("") is None


def test_a_replica_is_promoted_only_within_its_bound() -> None:
    seen = PostgresReplication(receiving=False, applying=True, receive_lsn="0/100", replay_lsn="0/80")
    assert unsafe_to_promote(seen, REPLICA, 0x100 + 100, "") is None
    assert "lacks 101 bytes" in (unsafe_to_promote(seen, REPLICA, 0x100 + 101, "") or "")
    assert unsafe_to_promote(seen, REPLICA, None, "nobody knows") == "nobody knows"
    paused = PostgresReplication(receiving=False, applying=False, paused=True, receive_lsn="0/100")
    assert unsafe_to_promote(paused, REPLICA, 0, "") == "its replay is paused"


def test_sudoers_allow_exact_commands_only() -> None:
    lines = postgres_sudoers(REPLICA)
    assert "(root) NOPASSWD: /usr/bin/mv -T /var/lib/postgresql/data /var/lib/postgresql/data.before" in lines
    assert not [line for line in lines if line.endswith((" *", "ALL")) and "pg_basebackup" not in line]
