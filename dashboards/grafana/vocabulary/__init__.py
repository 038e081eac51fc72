"""A small vocabulary for Grafana: Flux, queries, panels, pages, colours."""
