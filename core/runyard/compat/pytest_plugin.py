"""The pytest plugin: in tests, `import prefect` imports Runyard, as in a flow's run.

The setting `prefect_imports` decides; by default only if Prefect is not installed.
"""

from __future__ import annotations

from runyard.base.errors import SettingError
from runyard.compat import imports


def pytest_load_initial_conftests() -> None:
    """Install the hook before any test or conftest is imported, in each process that runs tests.

    Raises:
        pytest.UsageError: a setting is invalid.
    """
    try:
        imports.install()
    except SettingError as error:
        import pytest

        raise pytest.UsageError(str(error)) from None
