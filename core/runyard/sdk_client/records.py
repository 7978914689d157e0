"""The client's variables, limits, artifacts and blocks, and whether the API answers."""

from __future__ import annotations

from typing import Any

from runyard.client_schemas.filters import as_body
from runyard.errors import NotFound
from runyard.operations import admin, artifacts, block_documents, concurrency_limits, tag_limits, variables
from runyard.sdk_client.base import Caller, given


class Records(Caller):
    """What is kept besides runs."""

    def hello(self) -> str:
        """A greeting of the API."""
        return self._call(admin.read_hello)

    def api_healthcheck(self) -> Exception | None:
        """None when the API, or the database, answers; else why not."""
        try:
            self._call(admin.read_health)
        except Exception as error:
            return error
        return None

    def api_version(self) -> str:
        """The version of Prefect whose API it is."""
        return self._call(admin.read_version)

    def create_variable(self, variable: Any) -> variables.Variable:
        """Make a variable, by a VariableCreate."""
        return self._call(variables.create_variable, variable)

    def read_variable_by_name(self, name: str) -> variables.Variable | None:
        """A variable by its name; None where there is none."""
        try:
            return self._call(variables.read_variable_by_name, name)
        except NotFound:
            return None

    def read_variables(self, limit: int | None = None) -> list[variables.Variable]:
        """The variables."""
        return self._call(variables.filter_variables, variables.VariableListing(**given(limit=limit)))

    def update_variable(self, variable: Any) -> None:
        """Change the variable of that name, by a VariableUpdate with its name."""
        self._call(variables.update_variable_by_name, variable.name, variable)

    def delete_variable_by_name(self, name: str) -> None:
        """Delete a variable."""
        self._call(variables.delete_variable_by_name, name)

    def create_concurrency_limit(self, tag: str, concurrency_limit: int) -> str:
        """Limit how many tasks of a tag run at once; the id of the limit."""
        body = tag_limits.TagLimitCreate(tag=tag, concurrency_limit=concurrency_limit)
        return str(self._call(tag_limits.create_tag_limit, body).id)

    def read_concurrency_limit_by_tag(self, tag: str) -> tag_limits.TagLimit:
        """The limit of a tag."""
        return self._call(tag_limits.read_limit_of_tag, tag)

    def read_concurrency_limits(self, limit: int | None = None, offset: int | None = None) -> list[Any]:
        """The limits of tags."""
        body = concurrency_limits.LimitListing(**given(limit=limit, offset=offset))
        return self._call(tag_limits.filter_tag_limits, body)

    def delete_concurrency_limit_by_tag(self, tag: str) -> None:
        """Delete the limit of a tag."""
        self._call(tag_limits.delete_limit_of_tag, tag)

    def create_global_concurrency_limit(self, concurrency_limit: Any) -> str:
        """Make a limit, by a GlobalConcurrencyLimitCreate; its id."""
        return str(self._call(concurrency_limits.create_concurrency_limit, concurrency_limit).id)

    def read_global_concurrency_limit_by_name(self, name: str) -> concurrency_limits.ConcurrencyLimit:
        """A limit by its name."""
        return self._call(concurrency_limits.read_concurrency_limit, name)

    def read_global_concurrency_limits(
        self, limit: int | None = None, offset: int | None = None
    ) -> list[Any]:
        """The limits."""
        body = concurrency_limits.LimitListing(**given(limit=limit, offset=offset))
        return self._call(concurrency_limits.filter_concurrency_limits, body)

    def update_global_concurrency_limit(self, name: str, concurrency_limit: Any) -> None:
        """Change a limit, by a GlobalConcurrencyLimitUpdate."""
        self._call(concurrency_limits.update_concurrency_limit, name, concurrency_limit)

    def delete_global_concurrency_limit_by_name(self, name: str) -> None:
        """Delete a limit."""
        self._call(concurrency_limits.delete_concurrency_limit, name)

    def create_artifact(self, artifact: Any) -> artifacts.Artifact:
        """Keep an artifact, by an ArtifactCreate."""
        return self._call(artifacts.create_artifact, artifact)

    def read_artifacts(
        self, *, artifact_filter: Any = None, sort: Any = None, limit: int | None = None, offset: int = 0
    ) -> list[artifacts.Artifact]:
        """The artifacts that the filter finds."""
        fields = given(artifacts=as_body(artifact_filter), sort=sort, limit=limit, offset=offset or None)
        return self._call(artifacts.filter_artifacts, artifacts.ArtifactListing(**fields))

    def delete_artifact(self, artifact_id: Any) -> None:
        """Delete an artifact."""
        self._call(artifacts.delete_artifact, str(artifact_id))

    def read_block_document_by_name(
        self, name: str, block_type_slug: str, include_secrets: bool = True
    ) -> block_documents.BlockDocument:
        """A stored block by its name and the slug of its type."""
        operation = block_documents.read_block_document_by_name
        return self._call(operation, block_type_slug, name, include_secrets=include_secrets)

    def read_block_document(
        self, block_document_id: Any, include_secrets: bool = True
    ) -> block_documents.BlockDocument:
        """A stored block by its id."""
        operation = block_documents.read_block_document
        return self._call(operation, str(block_document_id), include_secrets=include_secrets)

    def delete_block_document(self, block_document_id: Any) -> None:
        """Delete a stored block."""
        self._call(block_documents.delete_block_document, str(block_document_id))
