"""What the long-running processes of a site share: heartbeat, partition lock, users of a folder, recorder status."""
