"""Commands that provision and run devices."""
