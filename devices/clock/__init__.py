"""The clock of a site: phases, settings, and the barrier of lock-step."""
