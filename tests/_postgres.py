"""A temporary PostgreSQL server for tests: created, started, emptied and removed."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import tempfile

from _ports import free_port

_NAME = "runyard"


def programs() -> str | None:
    """The folder with initdb and pg_ctl: the newest installed, or the one on PATH."""
    folders = sorted(
        glob.glob("/usr/lib/postgresql/*/bin"),
        key=lambda folder: float(folder.split("/")[-2]),
        reverse=True,
    )
    on_path = shutil.which("initdb")
    folders += [os.path.dirname(on_path)] if on_path else []
    for folder in folders:
        if all(os.access(os.path.join(folder, name), os.X_OK) for name in ("initdb", "pg_ctl")):
            return folder
    return None


class Cluster:
    """One server on a free port of 127.0.0.1 and a socket in its own folder.

    It runs without fsync, so it is fast and loses data in a crash.
    """

    def __init__(self) -> None:
        self.bin = programs() or ""
        # Not pytest's temporary folder: other users cannot enter that, and PostgreSQL refuses root.
        self.folder = tempfile.mkdtemp(prefix="runyard-pg-")
        self.data = os.path.join(self.folder, "data")
        self.user = "postgres" if os.geteuid() == 0 else None
        self.port = free_port()
        self.url = f"postgresql://{_NAME}@127.0.0.1:{self.port}/{_NAME}"
        self._empty = ""

    def start(self) -> None:
        """Create the cluster and its one database, and start the server."""
        if self.user:
            shutil.chown(self.folder, self.user)
        self._run("initdb", "-D", self.data, "-U", _NAME, "-A", "trust", "-E", "UTF8", "--no-sync")
        self.resume()
        with self._connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {_NAME}")

    def resume(self) -> None:
        """Start the server, for the first time or after `pause`."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder} -c fsync=off "
            "-c synchronous_commit=off -c full_page_writes=off -c max_connections=300 "
            "-c shared_buffers=64MB -c autovacuum=off"
        )
        log = os.path.join(self.folder, "log")
        self._run("pg_ctl", "start", "-w", "-D", self.data, "-l", log, "-o", options)

    def pause(self) -> None:
        """Stop the server without losing committed data."""
        self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", self.data)

    def fresh_database(self) -> str:
        """The URL of the migrated, empty database.

        Emptying the tables takes some milliseconds, creating a database ten times as long.
        """
        from runyard.store.database import Database

        if not self._empty:
            database = Database(self.url)
            database.changes()
            database.close()
        with self._connect(_NAME) as connection:
            self._end_others(connection)
            if not self._empty:
                tables = connection.execute(
                    "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                    " AND tablename <> 'runyard_schema'"
                ).fetchall()
                self._empty = ";".join(f'DELETE FROM "{table}"' for (table,) in tables)
            connection.execute(f"SET session_replication_role = replica;{self._empty}")
        return self.url

    def _end_others(self, connection) -> None:
        # A process that a test killed may have left a connection that holds locks.
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND pid <> pg_backend_pid()",
            (_NAME,),
        )

    def restart(self, keeping: bool = False) -> None:
        """Stop the server at once and start it again: every connection breaks.

        Args:
            keeping: keep all committed data.
        """
        mode = "fast" if keeping else "immediate"
        self._run("pg_ctl", "restart", "-w", "-m", mode, "-D", self.data, "-l", os.devnull)

    def stop(self) -> None:
        """Stop the server and delete its files."""
        if os.path.exists(os.path.join(self.data, "postmaster.pid")):
            self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", self.data)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _connect(self, name: str):
        import psycopg

        return psycopg.connect(host="127.0.0.1", port=self.port, user=_NAME, dbname=name, autocommit=True)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [os.path.join(self.bin, program), *arguments],
            user=self.user,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            # The server inherits these: a pipe would never reach its end.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed with {done.returncode}; see {self.folder}")
