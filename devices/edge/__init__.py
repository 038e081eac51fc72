"""One device on its own machine: hardware, safe mode, watchdog, offline queue, test bench."""
