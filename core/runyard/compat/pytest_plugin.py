"""What pytest loads where Runyard is installed: `import prefect` in tests means Runyard, as in a flow's run.

The setting `prefect_imports` says whether; by default only where Prefect itself is not installed.
"""

from __future__ import annotations

from runyard.base.errors import SettingError
from runyard.compat import imports


def pytest_load_initial_conftests() -> None:
    """Before any test or conftest is imported, in each process that runs tests.

    Raises:
        pytest.UsageError: a setting is wrong.
    """
    try:
        imports.install()
    except SettingError as error:
        import pytest

        raise pytest.UsageError(str(error)) from None
