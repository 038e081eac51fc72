"""`python -m gridfleet.dashboards.grafana`."""

import sys

from gridfleet.dashboards.grafana.build import write
from gridfleet.dashboards.grafana.names import FILES

changed = write(FILES)
sys.stdout.write("".join(f"{name}\n" for name in changed) or "nothing has changed\n")
