"""The power market of one cell and tick, as pure rules."""
