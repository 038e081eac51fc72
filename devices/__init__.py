"""What a device knows, decides and senses."""
