"""Physics, demand, vehicles and weather, against published figures and reference libraries."""
