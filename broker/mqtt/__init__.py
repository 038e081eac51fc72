"""MQTT clients on one event loop: transport, packets, connections, and connections that devices share."""
