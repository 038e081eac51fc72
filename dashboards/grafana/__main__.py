"""`python -m gridfleet.dashboards.grafana`."""

import sys

from gridfleet.dashboards.grafana.build import FILES, write

changed = write(FILES)
sys.stdout.write("".join(f"{name}\n" for name in changed) or "nothing has changed\n")
