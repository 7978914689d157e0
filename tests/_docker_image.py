"""The image of docs/Dockerfile, built on the tests' engine from a base image that the tests build."""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from _docker import IMAGE, lock, need_docker

ROOT = Path(__file__).parents[1]
EXTRAS = "server,postgres,docker,metrics"
_INSTALL = "apt-get update -q && apt-get install -qy --no-install-recommends"
# As python:X.Y-slim has it: `python` with venv, and the system's folders on PATH.
_BASE = f"""
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
RUN {_INSTALL} python3-venv python-is-python3 && rm -rf /var/lib/apt/lists/*
"""
_DATABASE = f"""
ENV PATH=/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN {_INSTALL} postgresql-15 && rm -rf /var/lib/apt/lists/* \\
    && install -d -o postgres -m 700 /var/lib/postgresql/data
RUN printf '%s\\n' 'set -e' 'cd /var/lib/postgresql/data' 'if [ ! -s PG_VERSION ]; then' \\
    'printf %s "$POSTGRES_PASSWORD" >/tmp/password' \\
    'initdb -D . -U "$POSTGRES_USER" -A scram-sha-256 --pwfile /tmp/password -E UTF8 --no-sync' \\
    'echo "host all all all scram-sha-256" >>pg_hba.conf' \\
    'echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D . postgres' 'fi' \\
    'exec postgres -D . -c listen_addresses=* -c fsync=off' >/start
USER postgres
CMD ["sh", "/start"]
"""


def build(*arguments, **options):
    """Run `docker build` with this machine's network; return its output."""
    command = ["docker", "build", "--network", "host", *arguments]
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}  # which is on every engine
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=600, **options
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return done.stdout


@functools.cache
def _made(kind, dockerfile):
    """The tests' image with additions, built once per engine; skips the test if that is impossible."""
    need_docker()
    name = f"{IMAGE}-{kind}"
    with lock("image"):
        found = subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=False)
        if found.returncode != 0:
            done = subprocess.run(
                ["docker", "build", "--network", "host", "-t", name, "-"],
                input=f"FROM {IMAGE}\n{dockerfile}",
                env={**os.environ, "DOCKER_BUILDKIT": "0"},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                lines = (done.stdout + done.stderr).strip().splitlines()
                pytest.skip(f"the image {name} cannot be made: {lines[-1]}")
    return name


def need_base():
    """A base image for docs/Dockerfile."""
    return _made("venv", _BASE)


def need_database():
    """An image with the variables of the image `postgres` that docs/compose.yaml uses."""
    return _made("postgres", _DATABASE)


class _Index(http.server.SimpleHTTPRequestHandler):
    """The wheels of a folder as pip asks an index for them."""

    def do_GET(self):
        first, _, name = self.path.strip("/").partition("/")
        if first == "simple":
            wheels = (wheel.name for wheel in Path(self.directory).iterdir())
            fitting = [one for one in wheels if _normal(one.partition("-")[0]) == name]
            page = "".join(f'<a href="/{one}">{one}</a>' for one in fitting).encode()
            self.send_response(200 if fitting else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)
        else:
            super().do_GET()

    def log_message(self, *args):
        pass


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@contextmanager
def an_index(folder, *requirements):
    """The URL of a package index on loopback with these requirements, downloaded with this machine's pip.

    So a container needs no pip settings of this machine, such as a certificate.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:", "--dest", folder]
    got = subprocess.run([*command, *requirements], capture_output=True, text=True, check=False, cwd=ROOT)
    if got.returncode != 0:
        pytest.skip(f"the packages for an image cannot be had: {got.stderr.strip().splitlines()[-1]}")
    handler = functools.partial(_Index, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple/"
        server.shutdown()


@contextmanager
def a_built_image(name, folder):
    """The image of docs/Dockerfile under that name, and the URL of an index for images built from it.

    One test at a time: it uses the whole machine, and much of the engine's disk.
    """
    base = need_base()
    file = ROOT / "docs" / "Dockerfile"
    with lock("built-image"), an_index(folder, f".[{EXTRAS}]", "hatchling", "tomlkit") as url:
        given = (f"BASE={base}", f"EXTRAS={EXTRAS}", f"PIP_INDEX_URL={url}")
        try:
            arguments = [word for text in given for word in ("--build-arg", text)]
            said = build("-f", file, "-t", name, *arguments, ROOT)
            # The image of the first stage, which this builder leaves behind without a name.
            stage = re.findall(r"---> (\w+)\nStep \d+/\d+ : FROM", said)[-1]
            subprocess.run(["docker", "rmi", stage], capture_output=True, check=False)
            yield url
        finally:
            subprocess.run(["docker", "rmi", name], capture_output=True, check=False)
