"""Creates a run's Job from the pool's `job_manifest`, and a Secret for its secret values."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from runyard.base import redaction, url_passwords
from runyard.deployments.placeholders.fill_placeholders import looks_secret
from runyard.workers.infrastructure.base import (
    ATTEMPT_LABEL,
    HOOKS_LABEL,
    RUN_LABEL,
    CannotStart,
    command_words,
)
from runyard.workers.infrastructure.default_image import default_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runyard.workers.infrastructure.base import JobRequest

# Annotations: the exact labels of the run; and on a Job, the time limits for its pod.
LABELS = "runyard.io/labels"
START_WITHIN = "runyard.io/pod-watch-timeout-seconds"
PENDING_WITHIN = "runyard.io/pending-timeout-seconds"
# An annotation of a pod: the run's container; kubectl uses it too.
CONTAINER = "kubectl.kubernetes.io/default-container"
_MANAGED_BY = "app.kubernetes.io/managed-by"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_URL_VARIABLES = ("RUNYARD_API_URL", "PREFECT_API_URL")
_LABEL = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?\Z", re.ASCII)
_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?\Z", re.ASCII)
_SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}\Z", re.ASCII)
_NOT_IN_A_LABEL = re.compile(r"[^A-Za-z0-9_.-]+", re.ASCII)
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+", re.ASCII)
_LONGEST_LABEL = 63
# A pod is named like its Job with six more characters, and a label contains the name of the Job.
_LONGEST_NAME = 45
_SUFFIX = 10


@dataclass(frozen=True)
class Manifests:
    """The objects to create for a run.

    Args:
        job: the Job.
        secret: the values of its Secret, which has the Job's name; empty: no Secret.
    """

    job: dict[str, Any]
    secret: dict[str, str]

    def secret_for(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """The Secret; Kubernetes deletes it together with the created Job."""
        metadata = job["metadata"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "labels": self.job["metadata"]["labels"],
                "ownerReferences": [owner],
            },
            "type": "Opaque",
            "data": {key: base64.b64encode(text.encode()).decode() for key, text in self.secret.items()},
        }


def manifests(request: JobRequest, grace_seconds: float, host: str | None) -> Manifests:
    """Create the manifests of a run.

    Args:
        request: the run; its `job` is the pool's job configuration.
        grace_seconds: the time from SIGTERM to SIGKILL, unless the manifest or `stop_grace_seconds` sets it.
        host: the address under which pods reach servers on this machine's loopback address.

    Raises:
        CannotStart: the manifest is not a Job with one pod; the message names the invalid part.
    """
    job = request.job
    manifest = _skeleton(job.get("job_manifest"))
    metadata, spec = manifest["metadata"], manifest["spec"]
    template = spec["template"]
    pod = template["spec"]
    main = pod["containers"][0]
    metadata["namespace"] = str(metadata.get("namespace") or job.get("namespace") or "default")
    generated = metadata.pop("generateName", None)
    metadata.setdefault("name", _name(request, str(generated or "")))
    own = {**_mapping(job, "labels"), **_mapping(metadata, "labels")}
    labels = {**_labels(own), **_labels(request.labels), _MANAGED_BY: "runyard"}
    metadata["labels"] = labels
    template["metadata"]["labels"] = {**_labels(_mapping(template["metadata"], "labels")), **labels}
    exact = {LABELS: json.dumps(request.labels, sort_keys=True)}
    metadata["annotations"] = {**_texts(_mapping(metadata, "annotations")), **exact, **_waits(job)}
    template["metadata"]["annotations"] = {
        **_texts(_mapping(template["metadata"], "annotations")),
        **exact,
        CONTAINER: main["name"],
    }
    grace = job.get("stop_grace_seconds")
    pod.setdefault("terminationGracePeriodSeconds", math.ceil(grace_seconds if grace is None else grace))
    if job.get("job_watch_timeout_seconds") is not None:
        spec.setdefault("activeDeadlineSeconds", job["job_watch_timeout_seconds"])
    main["image"] = main.get("image") or job.get("image") or default_image()
    secret: dict[str, str] = {}
    name = metadata["name"]
    main["env"] = _env(request, main.get("env"), host, name, secret)
    main["args"] = command_words(main.get("args")) or request.command
    _keep_words(main, name, secret)
    for kind in ("initContainers", "containers"):
        for other in pod.get(kind) or ():
            if isinstance(other, dict) and other is not main:
                prefix = f"{other.get('name')}."
                other["env"] = _variables(_entries(other.get("env")), name, secret, prefix)
                _keep_words(other, name, secret, prefix)
    return Manifests(_without_nulls(manifest), secret)


def _skeleton(given: Any) -> dict[str, Any]:
    """Copy the pool's manifest and add the fixed parts of every run's Job; refuse contradicting values."""
    if not isinstance(given, dict):
        raise CannotStart(
            "the pool's job configuration has no job_manifest; see: "
            "runyard work-pool get-default-base-job-template --type kubernetes"
        )
    manifest = copy.deepcopy(given)
    _must_be(manifest, "apiVersion", "batch/v1", "")
    _must_be(manifest, "kind", "Job", "")
    _part(manifest, "metadata", "")
    spec = _part(manifest, "spec", "")
    template = _part(spec, "template", "spec.")
    _part(template, "metadata", "spec.template.")
    pod = _part(template, "spec", "spec.template.")
    for name in ("parallelism", "completions"):
        # Templates of Prefect have them among the fields of the pod, where they have no effect.
        if name in pod:
            spec.setdefault(name, pod.pop(name))
        _must_be(spec, name, 1, "spec.")
    if spec.get("backoffLimit") is None:
        spec["backoffLimit"] = 0
    _must_be(pod, "restartPolicy", "Never", "spec.template.spec.")
    containers = pod.get("containers")
    if not isinstance(containers, list) or not containers or not isinstance(containers[0], dict):
        raise CannotStart("job_manifest: spec.template.spec.containers has no container")
    containers[0].setdefault("name", "runyard-job")
    return manifest


def _part(mapping: dict[str, Any], name: str, path: str) -> dict[str, Any]:
    if mapping.get(name) is None:
        mapping[name] = {}
    if not isinstance(mapping[name], dict):
        raise CannotStart(f"job_manifest: {path}{name} must be a mapping")
    part: dict[str, Any] = mapping[name]
    return part


def _must_be(mapping: dict[str, Any], name: str, value: Any, path: str) -> None:
    if mapping.get(name) is None:
        mapping[name] = value
    if mapping[name] != value:
        raise CannotStart(f"job_manifest: {path}{name} must be {value!r}, not {mapping[name]!r}")


def _mapping(job: dict[str, Any], name: str) -> dict[str, Any]:
    found = job.get(name) or {}
    if not isinstance(found, dict):
        raise CannotStart(f"{name} must be a mapping, not {found!r}")
    return found


def _name(request: JobRequest, generated: str) -> str:
    """The name of this attempt's Job, the same at every try to create it: if the response was lost, the
    Job is found by its name and not created twice."""
    for text in (generated, str(request.job.get("name") or ""), request.name):
        start = _NOT_IN_A_NAME.sub("-", text.lower())[:_LONGEST_NAME].strip("-")
        if start:
            break
    which = [request.labels.get(label, "") for label in (RUN_LABEL, ATTEMPT_LABEL, HOOKS_LABEL)]
    digest = hashlib.sha256(":".join(which).encode()).hexdigest()
    return f"{start or 'runyard'}-{digest[:_SUFFIX]}"


def label_key(name: str) -> str:
    """Convert a label's name to the Kubernetes form: `io.runyard.x` becomes `runyard.io/x`."""
    for ours in ("runyard", "prefect"):
        if name.startswith(f"io.{ours}."):
            return f"{ours}.io/{name.removeprefix(f'io.{ours}.')}"
    prefix, slash, rest = name.rpartition("/")
    key = label_value(rest)
    return f"{prefix}/{key}" if slash and _PREFIX.match(prefix) else label_value(name.replace("/", "-"))


def label_value(text: str) -> str:
    """The text, reduced to the characters and length of a label."""
    if _LABEL.match(text):
        return text
    return _NOT_IN_A_LABEL.sub("-", text)[:_LONGEST_LABEL].strip("-_.")


def _labels(given: Mapping[str, Any]) -> dict[str, str]:
    pairs = ((label_key(str(name)), label_value(str(value))) for name, value in given.items())
    return {name: value for name, value in pairs if name}


def _texts(given: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in given.items() if value is not None}


def _waits(job: dict[str, Any]) -> dict[str, str]:
    found = {}
    for variable, annotation in (
        ("pod_watch_timeout_seconds", START_WITHIN),
        ("pending_timeout_seconds", PENDING_WITHIN),
    ):
        if job.get(variable) is not None:
            found[annotation] = str(job[variable])
    return found


def _env(
    request: JobRequest, own: Any, host: str | None, secret_name: str, secret: dict[str, str]
) -> list[dict[str, Any]]:
    """The container's variables; secret values are moved to `secret`."""
    entries = {**request.env, **_mapping(request.job, "env"), **_entries(own)}
    for name in _URL_VARIABLES:
        if isinstance(entries.get(name), str):
            entries[name] = _reachable(entries[name], host)
    return _variables(entries, secret_name, secret)


def _entries(given: Any) -> dict[str, Any]:
    """The variables of a container by name; for one with `valueFrom`, the whole entry."""
    if isinstance(given, dict):
        return given
    entries: dict[str, Any] = {}
    for entry in given or ():
        if not isinstance(entry, dict) or "name" not in entry:
            raise CannotStart(f"job_manifest: an entry of env has no name: {redaction.redact(repr(entry))}")
        entries[entry["name"]] = entry if "valueFrom" in entry else entry.get("value")
    return entries


def _variables(
    entries: dict[str, Any], secret_name: str, secret: dict[str, str], own: str = ""
) -> list[dict[str, Any]]:
    found = []
    for name, value in entries.items():
        if isinstance(value, dict) and "valueFrom" in value:
            found.append({"name": str(name), **value})
        elif value is not None:
            found.append(_variable(str(name), str(value), secret_name, secret, own))
    return found


def _variable(
    name: str, text: str, secret_name: str, secret: dict[str, str], own: str = ""
) -> dict[str, Any]:
    """One variable; `own` is a prefix of its key in the Secret, for containers other than the run's."""
    if not _is_secret(name, text):
        return {"name": name, "value": text}
    key = f"{own}{name}"
    key = key if _SECRET_KEY.match(key) else f"variable-{len(secret)}"
    secret[key] = text
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret_name, "key": key}}}


def _is_secret(name: str, text: str) -> bool:
    return looks_secret(name) or redaction.redact(text) != text or url_passwords.hidden(text) != text


def _keep_words(container: dict[str, Any], secret_name: str, secret: dict[str, str], own: str = "") -> None:
    """Replace secret words of a command by variables of the container."""
    for part, kind in (("command", "COMMAND"), ("args", "ARGUMENT")):
        given = container.get(part)
        words: list[Any] = given if isinstance(given, list) else []
        for number, word in enumerate(words):
            if isinstance(word, str) and redaction.redact(word) != word:
                name = f"RUNYARD__SECRET_{kind}_{number}"
                container["env"].append(_variable(name, word, secret_name, secret, own))
                words[number] = f"$({name})"


def _reachable(url: str, host: str | None) -> str:
    """Replace a loopback address in a URL by the address that pods can reach."""
    parts = urlsplit(url)
    if host is None or parts.hostname not in _LOOPBACK:
        return url
    host = f"[{host}]" if ":" in host else host
    return urlunsplit(parts._replace(netloc=f"{host}:{parts.port}" if parts.port else host))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value
