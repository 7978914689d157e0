#!/usr/bin/env bash
# The docker pool of the tutorial from nothing: an image, a pool, a deployment, a run in a container, its logs.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
export RUNYARD_HOME="$folder/home" NO_COLOR=1
unset RUNYARD_API_URL PREFECT_API_URL RUNYARD_DATABASE_URL
trap 'rm -rf "$folder"' EXIT

say() { printf '\n$ %s\n' "$*"; "$@"; }

mkdir "$folder/project"
cd "$folder/project"
cat >flow.py <<'PYTHON'
import platform

from runyard import flow


@flow(log_prints=True)
def hello(name: str = "you"):
    print(f"Hello {name}, from {platform.freedesktop_os_release()['PRETTY_NAME']}")
PYTHON
printf 'The image for tests, which is made once for an engine ...\n'
python - "$root/tests" >prefect.yaml <<'PYTHON'
import json, pathlib, sys
sys.path.insert(0, sys.argv[1])
import _docker
problem = _docker.problem()
if problem:
    sys.exit(f"the demonstration needs a Docker Engine: {problem}")
pool = {"name": "docker-pool", "job_variables": _docker.job_variables(pathlib.Path.cwd())}
print(json.dumps({"deployments": [{"name": "hello", "entrypoint": "flow.py:hello", "work_pool": pool}]}, indent=2))
PYTHON
say runyard work-pool create docker-pool --type docker
say runyard deploy --name hello
say runyard deployment run hello/hello --param name=docker
say runyard worker start --pool docker-pool --run-once
run=$(runyard flow-run ls --state COMPLETED --limit 1 --output json |
    python -c 'import json, sys; print(next((run["id"] for run in json.load(sys.stdin)), ""))')
[ -n "$run" ] || { echo "the run did not complete" >&2; exit 1; }
say runyard flow-run logs "$run"
printf '\nThe image for tests stays for the next time; to remove it: docker rmi %s\n' "$(cd "$root/tests" && python -c 'import _docker; print(_docker.IMAGE)')"
