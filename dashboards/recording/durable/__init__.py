"""The recorder of a live site: a process that loses no message when it, the broker or InfluxDB is killed."""
