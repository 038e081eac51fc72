"""InfluxDB 2: buckets and tasks, and the way points take to it without loss."""
