"""The client's methods for variables and artifacts, and its health check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base.errors import NotFound
from runyard.client.schemas.filters import as_body
from runyard.client.user_client.calling import Caller, given
from runyard.operations.installation import admin
from runyard.operations.records import stored_artifacts, stored_variables

if TYPE_CHECKING:
    import httpx


def _listing(
    artifact_filter: Any, sort: Any, limit: int | None, offset: int
) -> stored_artifacts.ArtifactListing:
    order = None if sort is None else str(getattr(sort, "value", sort))
    fields = given(artifacts=as_body(artifact_filter), sort=order, limit=limit, offset=offset or None)
    return stored_artifacts.ArtifactListing(**fields)


class Records(Caller):
    """Methods for variables, artifacts and the health check."""

    def hello(self) -> httpx.Response:
        """The API's greeting as an HTTP response, also without an HTTP API."""
        import httpx

        return httpx.Response(200, json=self._call(admin.read_hello))

    def api_healthcheck(self) -> Exception | None:
        """None if the API or the database is available, else the error."""
        try:
            self._call(admin.read_health)
        except Exception as error:
            return error
        return None

    def api_version(self) -> str:
        """The version of Prefect's API that Runyard implements."""
        return self._call(admin.read_version)

    def create_variable(self, variable: Any) -> stored_variables.Variable:
        """Create a variable from a VariableCreate."""
        return self._call(stored_variables.create_variable, variable)

    def read_variable_by_name(self, name: str) -> stored_variables.Variable | None:
        """A variable by its name; None if it does not exist."""
        try:
            return self._call(stored_variables.read_variable_by_name, name)
        except NotFound:
            return None

    def read_variables(self, limit: int | None = None) -> list[stored_variables.Variable]:
        """The variables."""
        return self._call(
            stored_variables.filter_variables, stored_variables.VariableListing(**given(limit=limit))
        )

    def update_variable(self, variable: Any) -> None:
        """Update the variable that a VariableUpdate names."""
        self._call(stored_variables.update_variable_by_name, variable.name, variable)

    def delete_variable_by_name(self, name: str) -> None:
        """Delete a variable."""
        self._call(stored_variables.delete_variable_by_name, name)

    def create_artifact(self, artifact: Any) -> stored_artifacts.Artifact:
        """Create an artifact from an ArtifactCreate."""
        return self._call(stored_artifacts.create_artifact, artifact)

    def read_artifacts(
        self, *, artifact_filter: Any = None, sort: Any = None, limit: int | None = None, offset: int = 0
    ) -> list[stored_artifacts.Artifact]:
        """The artifacts that match the filter."""
        return self._call(stored_artifacts.filter_artifacts, _listing(artifact_filter, sort, limit, offset))

    def read_latest_artifacts(
        self, *, artifact_filter: Any = None, sort: Any = None, limit: int | None = None, offset: int = 0
    ) -> list[stored_artifacts.ArtifactCollection]:
        """The latest artifact of each key, among those that match the filter."""
        body = _listing(artifact_filter, sort, limit, offset)
        return self._call(stored_artifacts.filter_latest_artifacts, body)

    def update_artifact(self, artifact_id: Any, artifact: Any) -> None:
        """Update an artifact from an ArtifactUpdate."""
        self._call(stored_artifacts.update_artifact, str(artifact_id), artifact)

    def delete_artifact(self, artifact_id: Any) -> None:
        """Delete an artifact."""
        self._call(stored_artifacts.delete_artifact, str(artifact_id))
