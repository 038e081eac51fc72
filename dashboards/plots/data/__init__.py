"""Data that the figures draw upon."""
