"""Tests of the examples: each runs beside an installed wheel, outside of the checkout."""
