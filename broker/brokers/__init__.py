"""The brokers that GridFleet starts or configures: Mosquitto, the embedded rumqttd, EMQX."""
