"""Commands that watch and control a running site."""
