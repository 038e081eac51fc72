"""Who is believed: every message type, published by every role and client that may not publish it."""
