"""What is recorded, audited and shown of a site: recorder, auditor, telemetry, reports, dashboards, live page."""
