#!/usr/bin/env bash
# The main job from nothing: a project, a pool, a deployment with a schedule, a worker, a run, its logs.
set -euo pipefail

folder=$(mktemp -d)
export RUNYARD_HOME="$folder/home" NO_COLOR=1
unset RUNYARD_API_URL PREFECT_API_URL RUNYARD_DATABASE_URL
worker=
finish() {
    if [ -n "$worker" ]; then kill "$worker" 2>/dev/null || true; wait "$worker" 2>/dev/null || true; fi
    rm -rf "$folder"
}
trap finish EXIT

say() { printf '\n$ %s\n' "$*"; "$@"; }

mkdir "$folder/project"
cd "$folder/project"
say runyard init --recipe local --name demo
say runyard work-pool create default-agent-pool --type process
say runyard deploy --name hello --interval 2

printf '\n$ runyard worker start --pool default-agent-pool &\n'
runyard worker start --pool default-agent-pool >"$folder/worker.log" 2>&1 &
worker=$!

# The schedule is due every two seconds: wait for its first completed run, at most a minute.
run=
for _ in $(seq 120); do
    run=$(runyard flow-run ls --state COMPLETED --limit 1 --output json |
        python3 -c 'import json, sys; runs = json.load(sys.stdin); print(runs[0]["id"] if runs else "")')
    if [ -n "$run" ]; then break; fi
    sleep 0.5
done
if [ -z "$run" ]; then
    echo "no scheduled run completed within a minute; the worker said:" >&2
    cat "$folder/worker.log" >&2
    exit 1
fi

say runyard flow-run ls --limit 5
say runyard flow-run logs "$run"

printf '\n$ kill %s    # the worker lets its runs finish and says good-bye\n' "$worker"
kill "$worker"
wait "$worker" || true
worker=
cat "$folder/worker.log"
printf '\nA scheduled run completed: %s\n' "$run"
