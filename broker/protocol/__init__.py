"""What is published: messages, topics, payloads and batches, and how they are encoded and decoded."""
