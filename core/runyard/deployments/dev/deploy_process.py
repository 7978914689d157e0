"""Deploys the copies of a development session in a process of its own: it loads the code that was saved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict

from runyard.base.errors import RunyardError
from runyard.deployments.dev.copies import Copied, Wanted, deploy_copies


class DeployProcess:
    """One deploy of the copies, as a child process that Ctrl-C does not reach.

    Args:
        wanted: what to copy.
    """

    def __init__(self, wanted: Wanted) -> None:
        # -P: without the current folder, whose modules could hide those of the standard library.
        command = [sys.executable, "-P", "-m", __name__, json.dumps(asdict(wanted))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, process_group=0
        )

    def wait(self) -> Copied:
        """Wait for its end.

        Returns:
            The copies.

        Raises:
            RunyardError: the deploy was refused, or the code ended the process.
        """
        told, _ = self._process.communicate()
        try:
            answer = json.loads(told)
        except ValueError:
            code = self._process.returncode
            raise RunyardError(
                f"the code could not be loaded: the process ended with exit code {code}"
            ) from None
        if "error" in answer:
            raise RunyardError(answer["error"])
        return Copied.of_json(answer)

    def kill(self) -> None:
        """End it; `wait` then raises an error."""
        self._process.kill()


def main() -> None:
    """Deploy what the only argument describes; print the copies, or the error, as JSON."""
    from runyard.client import connect

    answers = os.dup(1)
    os.dup2(2, 1)  # what the code prints goes to standard error
    client = connect()
    try:
        answer = deploy_copies(client, Wanted(**json.loads(sys.argv[1]))).to_json()
    except RunyardError as error:
        answer = {"error": str(error)}
    finally:
        client.close()
    with os.fdopen(answers, "w") as stream:
        json.dump(answer, stream)


if __name__ == "__main__":
    main()
