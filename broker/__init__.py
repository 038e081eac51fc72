"""Messages, topics, the MQTT client, and the brokers: everything between devices and the network."""
