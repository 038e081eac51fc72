"""Indicators of a run: what a study of energy markets and charging reports, each with definition and source."""
