"""InfluxDB 2: buckets, tasks and tokens, and a spool that delivers points without loss."""
