"""Builders for Grafana: Flux queries, panels, maps, pages, colours."""
