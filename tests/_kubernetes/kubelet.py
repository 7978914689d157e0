"""A node: starts each pod's command as a process of this machine, keeps what it prints, and ends it."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from _kubernetes.store import ApiError, now

_EXPANDED = re.compile(r"\$\(([^()]+)\)")


class Log:
    """What a container printed: lines with their moments."""

    def __init__(self, ahead_seconds=0):
        self.ahead_seconds = ahead_seconds
        self.lines = []
        self.over = False

    def add(self, text):
        whole, nanos = divmod(time.time_ns() + self.ahead_seconds * 10**9, 10**9)
        moment = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        self.lines.append((f"{moment}.{nanos:09d}Z", text))


class Kubelet:
    """Runs the pods of a cluster.

    Args:
        cluster: whose pods.
        folder: where each pod has a folder.
    """

    def __init__(self, cluster, folder):
        self.cluster = cluster
        self.folder = Path(folder)
        self.pods = {}  # (namespace, name) -> Popen of the first container
        self.beside = {}  # (namespace, name) -> {name of another container: Popen}
        self.logs = {}
        self.reasons = {}  # why a process is killed, by its pod
        self.threads = []
        self.node_is_lost = False
        # Of the clock of this node, before that of the worker.
        self.clock_ahead_seconds = 0
        self.closing = False

    def run(self, pod):
        """Take care of a pod that was given to this node, in a thread of its own."""
        thread = threading.Thread(target=self._live, args=(pod,), name="kubelet-pod", daemon=True)
        self.threads.append(thread)
        thread.start()

    def log_of(self, namespace, name):
        return self.logs.get((namespace, name))

    def _live(self, pod):
        key = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        container = pod["spec"]["containers"][0]
        with suppress(ApiError):  # it was removed meanwhile
            self._run(key, pod, container)

    def _run(self, key, pod, container):
        if not self._image(key, container):
            return
        env = self._env(key, container)
        if env is None:
            return
        process = self._start(key, container, env, pod)
        if process is None:
            return
        self._start_beside(key, pod["spec"]["containers"][1:])
        self._status(key, "Running", {"running": {"startedAt": now()}}, container)
        self.cluster.event(pod, "Started", f"Started container {container['name']}")
        log = self.logs[key]
        for line in iter(process.stdout.readline, b""):
            log.add(line)
        code = process.wait()
        process.stdout.close()
        if self.node_is_lost:
            return
        code = code if code >= 0 else 128 - code
        reason = self.reasons.get(key, {})
        ended = {"exitCode": code, "reason": reason.get("container") or ("Error" if code else "Completed")}
        log.over = True
        if self._runs_beside(key):
            self._status(key, "Running", {"terminated": ended}, container)
            for other in self.beside[key].values():
                other.wait()
        self._status(
            key, "Failed" if code or reason else "Succeeded", {"terminated": ended}, container, reason
        )
        self.cluster.remove_ended(key)

    def _start_beside(self, key, containers):
        for container in containers:
            words = [*(container.get("command") or []), *(container.get("args") or [])]
            env = self._env(key, container) or {}
            words = [_EXPANDED.sub(lambda m, env=env: env.get(m[1], m[0]), word) for word in words]
            self.beside.setdefault(key, {})[container["name"]] = subprocess.Popen(
                words, env=env, cwd=self._folder_of(key), stdin=subprocess.DEVNULL, start_new_session=True
            )

    def _runs_beside(self, key):
        return [each for each in self.beside.get(key, {}).values() if each.poll() is None]

    def _image(self, key, container):
        """Pull the image; an image that is called `missing` is not there."""
        pod = self.cluster.store.get("pods", *key)
        image = container["image"]
        if container.get("imagePullPolicy") != "Never":
            self.cluster.event(pod, "Pulling", f'Pulling image "{image}"')
        if "missing" not in image:
            return True
        if container.get("imagePullPolicy") == "Never":
            waiting = {"reason": "ErrImageNeverPull", "message": f'Container image "{image}" is not present'}
            self._status(key, "Pending", {"waiting": waiting}, container)
            return False
        message = f'failed to pull image "{image}": not found'
        self.cluster.event(pod, "Failed", message, "Warning")
        while self._is_there(key):
            for reason, text in (
                ("ErrImagePull", message),
                ("ImagePullBackOff", f'Back-off pulling "{image}"'),
            ):
                self._status(key, "Pending", {"waiting": {"reason": reason, "message": text}}, container)
                time.sleep(0.1)
        return False

    def _env(self, key, container):
        env = {"PATH": os.environ["PATH"], "HOME": str(self._folder_of(key)), "LANG": "C.UTF-8"}
        for entry in container.get("env") or ():
            if "valueFrom" not in entry:
                env[entry["name"]] = _EXPANDED.sub(lambda m: env.get(m[1], m[0]), entry.get("value", ""))
                continue
            wanted = entry["valueFrom"]["secretKeyRef"]
            while True:
                try:
                    secret = self.cluster.store.get("secrets", key[0], wanted["name"])
                    break
                except ApiError:
                    if not self._is_there(key):
                        return None
                    waiting = {
                        "reason": "CreateContainerConfigError",
                        "message": f'secret "{wanted["name"]}" not found',
                    }
                    self._status(key, "Pending", {"waiting": waiting}, container)
                    time.sleep(0.02)
            env[entry["name"]] = base64.b64decode(secret["data"][wanted["key"]]).decode()
        return env

    def _start(self, key, container, env, pod):
        words = [*(container.get("command") or []), *(container.get("args") or [])]
        words = [_EXPANDED.sub(lambda m: env.get(m[1], m[0]), word) for word in words]
        if words[0] == "python":
            words[0] = sys.executable
        with self.cluster.store.lock:
            if not self._is_there(key):
                return None
            try:
                process = subprocess.Popen(
                    words,
                    env=env,
                    cwd=self._folder_of(key),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                ended = {"exitCode": 128, "reason": "StartError", "message": f"exec: {error}"}
                self._status(key, "Failed", {"terminated": ended}, container)
                return None
            self.pods[key] = process
            self.logs[key] = Log(self.clock_ahead_seconds)
        return process

    def _folder_of(self, key):
        folder = self.folder / "-".join(key)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _is_there(self, key):
        found = self.cluster.store.objects.get(("pods", *key))
        there = found is not None and not found["metadata"].get("deletionTimestamp")
        return there and not self.closing

    def _status(self, key, phase, state, container, more=None):
        def change(pod):
            pod["status"]["phase"] = phase
            pod["status"] |= {name: value for name, value in (more or {}).items() if name != "container"}
            others = [
                {"name": name, "state": {"running": {}} if each.poll() is None else {"terminated": {}}}
                for name, each in self.beside.get(key, {}).items()
            ]
            pod["status"]["containerStatuses"] = [
                {"name": container["name"], "image": container["image"], "state": state},
                *others,
            ]

        self.cluster.store.update("pods", *key, change)

    # Ends

    def terminate(self, key, grace_seconds):
        """SIGTERM to a pod's first processes, SIGKILL later; what did not start is gone at once."""
        process = self.pods.get(key)
        running = self._runs_beside(key)
        if process is not None and process.poll() is None:
            running.append(process)
        for each in running:
            thread = threading.Thread(
                target=self._terminate, args=(each, grace_seconds), name="kubelet-end", daemon=True
            )
            self.threads.append(thread)
            thread.start()
        return bool(running)

    def _terminate(self, process, grace_seconds):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_seconds)
            return
        process.kill()

    def kill(self, key, **reason):
        """SIGKILL to a pod, which is then told as said."""
        self.reasons[key] = reason
        self.pods[key].kill()

    def close(self):
        self.closing = True
        for process in (
            *self.pods.values(),
            *(each for some in self.beside.values() for each in some.values()),
        ):
            process.kill()
        for thread in self.threads:
            thread.join()
        shutil.rmtree(self.folder, ignore_errors=True)
