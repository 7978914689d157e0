"""`runyard version`: the installed version, and which database it uses."""

from __future__ import annotations

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.options import Output

version = App()


@version.command("version", example="runyard version -o json")
def _version(output: Output = None) -> None:
    """Show the installed version and where its data is."""
    import platform
    import sqlite3
    from importlib import metadata

    from runyard import settings
    from runyard.base.url_passwords import hidden
    from runyard.operations.installation.admin import API_VERSION
    from runyard.store import database_maintenance

    installed = {}
    for name in ("prefect", "fastapi", "psycopg", "docker"):
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    facts = {
        "version": metadata.version("runyard"),
        "api_version": API_VERSION,
        "python": platform.python_version(),
        "platform": f"{platform.system().lower()}/{platform.machine()}",
        "pydantic": metadata.version("pydantic"),
        "sqlite": sqlite3.sqlite_version,
        "home": settings.home(),
        "profile": settings.profile(),
        "server_type": "server" if settings.get("api_url") else "local",
        "api_url": hidden(settings.get("api_url")) or None,
        "database": database_maintenance.where(),
        "installed": installed,
    }
    if output:
        out.print_data(facts, output)
        return
    if facts["api_url"]:
        facts["database"] = None  # of this machine, which commands do not use
    also = ", ".join(f"{name} {number}" for name, number in installed.items())
    out.facts((out.heading(name), also if name == "installed" else value) for name, value in facts.items())
