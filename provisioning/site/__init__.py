"""A site's secrets, users and enrolment; clients that watch and control it; heartbeat and locks of its processes."""
