"""Grafana as code: pages, queries and alert rules in Python, and the JSON and YAML that Grafana reads.

`make dashboards` (`python -m gridfleet.dashboards.grafana`) writes `files/`; a test checks that they are current.
The modules that build pages need `grafana-foundation-sdk`, a development dependency; using
`files/` does not.
"""
