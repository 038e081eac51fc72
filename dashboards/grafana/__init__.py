"""Grafana as code: pages, queries and alert rules in Python, and the JSON and YAML that Grafana reads.

`make dashboards` (`python -m gridfleet.dashboards.grafana`) writes `files/`; a test holds the two equal, byte for byte.
The modules that make pages need `grafana-foundation-sdk`, which is a tool of development; `files/` does not.
"""
