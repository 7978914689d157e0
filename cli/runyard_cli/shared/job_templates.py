"""Base job templates of work pools as command lines give them: files of JSON."""

from __future__ import annotations

import json
from typing import Any

from runyard_cli.shared import output as out


def template(file: Any) -> dict[str, Any]:
    """The base job template in an open file.

    Raises:
        InvalidInput: it is not a JSON object.
    """
    from runyard.base.errors import InvalidInput

    try:
        found = json.load(file)
    except ValueError as error:
        raise InvalidInput(f"{file.name}: not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"{file.name}: a base job template must be a JSON object")
    return found


def warn_of_places(name: str, template: dict[str, Any]) -> None:
    """Say which variables of a template lead runs away from the database in which they are recorded."""
    from runyard.deployments.project import job_variable_warnings

    for warning in job_variable_warnings.template_warnings(name, template):
        out.progress(warning)
