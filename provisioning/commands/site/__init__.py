"""Commands for a site of several processes."""
