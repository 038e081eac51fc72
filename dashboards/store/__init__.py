"""The local store of a run, and the crash-safe log under journal and spool."""
