"""The commands of `gridfleet`, grouped as in its help."""
