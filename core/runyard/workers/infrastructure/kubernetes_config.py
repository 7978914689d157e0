"""The address of a cluster and our credentials: from a pod's service account, or from a kubeconfig."""

from __future__ import annotations

import base64
import binascii
import json
import os
import ssl
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from runyard.base import redaction
from runyard.base.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_IN_A_POD = "/var/run/secrets/kubernetes.io/serviceaccount"
_POD_FOLDER_VARIABLE = "RUNYARD_KUBERNETES_SERVICE_ACCOUNT_FOLDER"
# The cluster replaces the token files of pods long before the tokens expire.
_READ_AGAIN_SECONDS = 60.0
_PLUGIN_SECONDS = 60.0
_PROXIES = ("http", "https", "socks5", "socks5h")
_EXEC_API = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


@dataclass(frozen=True)
class Access:
    """The address of a cluster and our credentials.

    Args:
        server: its URL.
        verify: the TLS settings, with our client certificate.
        auth: adds credentials to requests; None: a client certificate, or no credentials.
        namespace: the namespace of the context or of this pod.
        server_name: the name in its certificate, if it differs from the URL.
        proxy: the URL of a proxy.
        pod: (namespace, name, uid) of the pod of this cluster in which this process runs, if it does.
    """

    server: str
    verify: ssl.SSLContext
    auth: httpx.Auth | None = None
    namespace: str = "default"
    server_name: str | None = None
    proxy: str | None = None
    pod: tuple[str, str, str] | None = None


class Token(httpx.Auth):
    """A bearer token that may expire; after a 401 it is read again once.

    Args:
        read: returns the token, and its expiry on the monotonic clock.
    """

    def __init__(self, read: Callable[[], tuple[str, float]]) -> None:
        self._read = read
        self._token = ""
        self._until = 0.0
        # Many threads send requests; the first that finds the token expired reads it for all.
        self._lock = threading.Lock()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with the token; called by httpx."""
        token = self._good_one()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            other = self._good_one(refused=token)
            if other != token:
                request.headers["Authorization"] = f"Bearer {other}"
                yield request

    def _good_one(self, refused: str | None = None) -> str:
        with self._lock:
            if time.monotonic() >= self._until or self._token == refused:
                token, until = self._read()
                redaction.register(token)
                if not token.isascii() or not token.isprintable():
                    raise InvalidInput("the token for the cluster has characters that no token has")
                self._token, self._until = token, until
            return self._token


def access(given: dict[str, Any] | None = None) -> Access:
    """Find the address and credentials of the cluster.

    Args:
        given: the job variable `cluster_config`: a kubeconfig as `config`, a `context_name`, or both.
            Default: the cluster in which this process is a pod, else that of the kubeconfig
            (`KUBECONFIG`, or `~/.kube/config`).

    Raises:
        InvalidInput: the configuration is missing or incomplete.
    """
    given = given or {}
    config, context = given.get("config"), given.get("context_name")
    if isinstance(config, str):
        config = _yaml(config, "cluster_config.config")
    if config:
        return _Kubeconfig("cluster_config", [(config, os.getcwd())]).access(context)
    if not context and (pod := _of_this_pod()) is not None:
        return pod
    paths = _paths()
    found = [(_read_yaml(path), os.path.dirname(path)) for path in paths if os.path.exists(path)]
    if not found:
        raise InvalidInput(
            f"no Kubernetes cluster is known: this process is not in a pod, and {' or '.join(paths)} does "
            "not exist; set KUBECONFIG, or the job variable cluster_config"
        )
    return _Kubeconfig(os.pathsep.join(paths), found).access(context)


def _of_this_pod() -> Access | None:
    folder = os.environ.get(_POD_FOLDER_VARIABLE, _IN_A_POD)
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    token_file = os.path.join(folder, "token")
    if not host or not os.path.exists(token_file):
        return None
    host = f"[{host}]" if ":" in host else host
    return Access(
        f"https://{host}:{port}",
        ssl.create_default_context(cafile=os.path.join(folder, "ca.crt")),
        _token_of_file(token_file),
        _text(os.path.join(folder, "namespace")) or "default",
        proxy=_proxy_for(f"https://{host}:{port}"),
        pod=_pod_of(_text(token_file) or ""),
    )


def _pod_of(token: str) -> tuple[str, str, str] | None:
    """The pod for which a token was issued, by the token's claims; None for a token without a pod.

    Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
    """
    try:
        claims = token.split(".")[1]
        its = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["kubernetes.io"]
        return str(its["namespace"]), str(its["pod"]["name"]), str(its["pod"]["uid"])
    except (IndexError, ValueError, KeyError, TypeError):
        return None


def _proxy_for(server: str) -> str | None:
    """The environment's proxy for a server; NO_PROXY may exclude it by name, address or network."""
    parts = urlsplit(server)
    host = parts.hostname or ""
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(host):
        return None
    for word in (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(","):
        with suppress(ValueError):  # one of the two is not an address
            if ip_address(host) in ip_network(word.strip(), strict=False):
                return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    _check_url(f"{parts.scheme.upper()}_PROXY", "the proxy", proxy, _PROXIES)
    return proxy


def _paths() -> list[str]:
    listed = [path for path in os.environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    return [os.path.abspath(os.path.expanduser(path)) for path in listed or ["~/.kube/config"]]


def _check_url(where: str, name: str, given: Any, schemes: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(str(given))
        fine = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise InvalidInput(f"{where}: {name} {str(given)!r} is not a URL such as {schemes[0]}://HOST:PORT")
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        raise InvalidInput(f"{where}: {name}: a SOCKS proxy needs: pip install 'httpx[socks]'")


class _Kubeconfig:
    """Kubeconfig files; the first file that defines an entry wins.

    Args:
        where: their name, for messages.
        files: each file's content, and its folder, to which its paths are relative.
    """

    def __init__(self, where: str, files: list[tuple[dict[str, Any], str]]) -> None:
        self._where = where
        self._files = files

    def access(self, context_name: str | None) -> Access:
        name = context_name or next(
            (config["current-context"] for config, _ in self._files if config.get("current-context")), None
        )
        if not name:
            raise InvalidInput(f"{self._where}: no context is set; set one: kubectl config use-context NAME")
        context, _ = self._named("contexts", "context", name)
        if not context.get("cluster"):
            raise InvalidInput(f"{self._where}: the context {name!r} names no cluster")
        cluster, folder = self._named("clusters", "cluster", context["cluster"])
        user, user_folder = (
            self._named("users", "user", context["user"]) if context.get("user") else ({}, folder)
        )
        server = cluster.get("server")
        if not server:
            raise InvalidInput(f"{self._where}: the cluster {context.get('cluster')!r} has no server")
        _check_url(self._where, "server", server, ("https", "http"))
        if cluster.get("proxy-url"):
            _check_url(self._where, "proxy-url", cluster["proxy-url"], _PROXIES)
        return Access(
            str(server).rstrip("/"),
            self._tls(cluster, folder, user, user_folder),
            self._auth(user, user_folder, cluster),
            context.get("namespace") or "default",
            cluster.get("tls-server-name"),
            cluster.get("proxy-url") or _proxy_for(str(server)),
        )

    def _named(self, plural: str, kind: str, name: Any) -> tuple[dict[str, Any], str]:
        names = []
        for config, folder in self._files:
            for entry in config.get(plural) or []:
                if not isinstance(entry, dict) or not isinstance(entry.get(kind) or {}, dict):
                    raise InvalidInput(
                        f"{self._where}: {plural} must be a list, each item with a name and a {kind!r}"
                    )
                if entry.get("name") == name:
                    return entry.get(kind) or {}, folder
                names.append(entry.get("name"))
        known = ", ".join(sorted({repr(each) for each in names})) or "none"
        raise InvalidInput(f"{self._where}: {kind} {name!r} not found; it has {known}")

    def _tls(self, cluster: dict[str, Any], folder: str, user: dict[str, Any], users: str) -> ssl.SSLContext:
        try:
            if cluster.get("insecure-skip-tls-verify"):
                tls = ssl.create_default_context()
                tls.check_hostname = False
                tls.verify_mode = ssl.CERT_NONE
            else:
                authority = self._content(cluster, "certificate-authority", folder)
                tls = ssl.create_default_context(cadata=authority.decode("ascii") if authority else None)
            certificate = self._content(user, "client-certificate", users)
            key = self._content(user, "client-key", users)
            if certificate and key:
                # OpenSSL reads these only from files; the file is deleted at once.
                with tempfile.NamedTemporaryFile(prefix="runyard-") as file:
                    file.write(certificate + b"\n" + key)
                    file.flush()
                    tls.load_cert_chain(file.name)
        except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
            raise InvalidInput(f"{self._where}: a certificate or key cannot be used: {error}") from None
        return tls

    def _content(self, entry: dict[str, Any], name: str, folder: str) -> bytes | None:
        """The content of an entry: from the named file, or from `NAME-data` in base64."""
        if entry.get(f"{name}-data"):
            try:
                return base64.b64decode(str(entry[f"{name}-data"]), validate=True)
            except (binascii.Error, ValueError):
                raise InvalidInput(f"{self._where}: {name}-data is not valid base64") from None
        if not entry.get(name):
            return None
        path = os.path.join(folder, os.path.expanduser(str(entry[name])))
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise InvalidInput(f"{self._where}: {name}: {path}: {error.strerror}") from None

    def _auth(self, user: dict[str, Any], folder: str, cluster: dict[str, Any]) -> httpx.Auth | None:
        if user.get("tokenFile"):
            return _token_of_file(os.path.join(folder, os.path.expanduser(str(user["tokenFile"]))))
        if user.get("token"):
            token = str(user["token"]).strip()
            return Token(lambda: (token, float("inf")))
        if user.get("exec"):
            return Token(_Plugin(user["exec"], folder, self._where, cluster).token)
        if user.get("username"):
            redaction.register(user.get("password"))
            return httpx.BasicAuth(str(user["username"]), str(user.get("password") or ""))
        if user.get("auth-provider"):
            raise InvalidInput(
                f"{self._where}: auth-provider is no longer supported, also not by kubectl; create the user "
                "again with the tool of your provider, which sets `exec`"
            )
        return None


class _Plugin:
    """A program that prints credentials.

    Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
    """

    def __init__(self, entry: dict[str, Any], folder: str, where: str, cluster: dict[str, Any]) -> None:
        self._where = where
        variables = entry.get("env") or [] if isinstance(entry, dict) else None
        if not isinstance(variables, list) or not all(
            isinstance(each, dict) and {"name", "value"} <= each.keys() for each in variables
        ):
            raise InvalidInput(
                f"{where}: exec must be a mapping, and its env a list of items with a name and a value"
            )
        self._told: dict[str, Any] = {"interactive": False}
        if entry.get("provideClusterInfo"):
            self._told["cluster"] = cluster
        self._api = str(entry.get("apiVersion") or "")
        if self._api not in _EXEC_API:
            raise InvalidInput(f"{where}: exec.apiVersion {self._api!r} is unknown; use one of {_EXEC_API}")
        command = str(entry.get("command") or "")
        if not command:
            raise InvalidInput(f"{where}: exec.command is missing")
        if os.sep in command:
            command = os.path.join(folder, command)
        self._command = [command, *map(str, entry.get("args") or [])]
        self._env = {str(each["name"]): str(each["value"]) for each in variables}
        self._hint = " ".join(str(entry.get("installHint") or "").split())

    def token(self) -> tuple[str, float]:
        """Run the program; return the token that it prints, and its expiry."""
        told = {"apiVersion": self._api, "kind": "ExecCredential", "spec": self._told}
        env = {**os.environ, "KUBERNETES_EXEC_INFO": json.dumps(told), **self._env}
        name = self._command[0]
        try:
            done = subprocess.run(
                self._command,
                env=env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=_PLUGIN_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            hint = f"; {self._hint}" if self._hint else ""
            raise InvalidInput(f"{self._where}: credential program {name!r} not found{hint}") from None
        except subprocess.TimeoutExpired:
            raise InvalidInput(
                f"{self._where}: the credential program {name!r} did not end within {_PLUGIN_SECONDS:g} s"
            ) from None
        except OSError as error:
            raise InvalidInput(
                f"{self._where}: the credential program {name!r} could not be run: {error}"
            ) from None
        if done.returncode:
            said = " ".join(done.stderr.split())[-500:]
            raise InvalidInput(f"{self._where}: the credential program {name!r} failed: {said}")
        try:
            status = json.loads(done.stdout)["status"]
            token = str(status["token"] or "").strip()
        except (ValueError, KeyError, TypeError):
            token = ""
        if not token:
            raise InvalidInput(
                f"{self._where}: the credential program {name!r} printed no token (client "
                "certificates of such programs are not supported)"
            )
        return token, _keep_until(status.get("expirationTimestamp"))


def _keep_until(moment: Any) -> float:
    try:
        left = datetime.fromisoformat(str(moment).replace("Z", "+00:00")).timestamp() - time.time()
    except ValueError:  # no expiry: use the token until it is refused
        return float("inf")
    return time.monotonic() + max(left - 10.0, 0.0)


def _token_of_file(path: str) -> httpx.Auth:
    def read() -> tuple[str, float]:
        token = _text(path)
        if not token:
            raise InvalidInput(f"{path}: no token of a Kubernetes service account found")
        return token, time.monotonic() + _READ_AGAIN_SECONDS

    return Token(read)


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None


def _read_yaml(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            return _yaml(file.read(), path)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: {error}") from None


def _yaml(text: str, where: str) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        # Without the parser's full message, which quotes the file: it may contain a token.
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise InvalidInput(f"{where}: invalid YAML: {line}{problem}") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"{where}: a kubeconfig must be a mapping")
    return found
