"""A power grid of bargaining devices: energy trading and charging reservations by contract net over MQTT.

The code is in the four folders at the top of the repository; `gridfleet.broker`, `gridfleet.devices`,
`gridfleet.dashboards` and `gridfleet.provisioning` are links to them. See "One import name" in docs/design.md.
"""
