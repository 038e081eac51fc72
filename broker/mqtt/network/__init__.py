"""Below MQTT: TCP, TLS and WebSocket, why a connection fails, and how many may be open."""
