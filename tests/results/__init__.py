"""Results are kept: locks, full disks, signals at any instant, closed streams, exit codes."""
