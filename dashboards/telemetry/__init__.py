"""What is said on a site as points of time series: one table of them, a spool that loses none, and the buckets."""
