"""Commands for what a site works with: broker, InfluxDB, Grafana, and the health checks of containers."""
