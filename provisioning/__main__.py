"""`python -m provisioning` is `gridfleet`."""

import sys

from provisioning.cli import main

if __name__ == "__main__":  # worker processes import this file too
    sys.exit(main())
