#!/usr/bin/env bash
# Tests the observe profile on a machine with Docker: containers start, a scenario runs, and Grafana answers every panel.
#   tools/observe-e2e.sh [SCENARIO]     KEEP=1 leaves the containers running
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scenario=${1:-normal}
ticks=${TICKS:-24}
bin=.venv/bin

report() { echo "observe-e2e: $*" >&2; }
docker compose version >/dev/null 2>&1 || { report "needs Docker with its compose plugin"; exit 2; }

compose() { docker compose --profile fleet --profile observe "$@"; }
cleanup() {
  local code=$?
  if [ "$code" -ne 0 ]; then
    compose logs --tail 40 >&2 || true
  fi
  [ -n "${KEEP:-}" ] || compose down --volumes >&2
  exit "$code"
}

make --silent dist >&2
"$bin/gridfleet" deploy compose "$scenario" --set "ticks=$ticks" >&2
trap cleanup EXIT
export SECONDS_PER_TICK=${SECONDS_PER_TICK:-1}
report "starting"
compose up --build --detach --quiet-pull >&2

report "waiting for Grafana"
for _ in $(seq 120); do
  curl --fail --silent --output /dev/null http://127.0.0.1:3000/api/health && ready=1 && break
  sleep 2
done
[ -n "${ready:-}" ] || { report "Grafana does not answer on port 3000"; exit 1; }

report "waiting for the run: $ticks ticks of $SECONDS_PER_TICK s"
for _ in $(seq 150); do
  [ -n "$(compose ps --quiet --status exited clock)" ] && finished=1 && break
  sleep 2
done
[ -n "${finished:-}" ] || { report "the run did not end within five minutes"; exit 1; }
sleep 15 # the recorder publishes its own state every ten seconds

"$bin/python" -m gridfleet.dashboards.grafana.observe --password-file containers/grafana-password
