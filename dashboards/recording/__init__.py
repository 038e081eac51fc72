"""From messages to stored rows: recorder, reservation log, trace, and the crash-safe recorder of a live site."""
