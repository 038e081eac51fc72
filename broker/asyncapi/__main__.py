"""Writes the AsyncAPI document to standard output."""

import sys

from gridfleet.broker.asyncapi.document import text

sys.stdout.write(text())
