"""Runs `gridfleet` as `python -m gridfleet`."""

import sys

from gridfleet.provisioning.cli.main import main

if __name__ == "__main__":  # worker processes import this file too
    sys.exit(main())
