"""One device on its own machine: hardware, safety, watchdog, offline storage."""
