"""A run that people watch: its page, the options of that, and its lowest price as it goes."""
