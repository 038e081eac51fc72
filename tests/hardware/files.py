"""The device files of the tests on the bench."""

from typing import Final

CHARGER: Final = """\
id = "charger-01"
kind = "charger"
cell = "north"
place = [53.6, 10.0]
backend = "mock"

[broker]
url = "mqtt://localhost"

[charger]
capacity_kwh = 100

[adc]

[plug]
pin = 5

[contactor]
pin = 17
feedback = 22

[stop]
pin = 6

[lamp]
red = 23
green = 24
blue = 25

[current]
channel = 0

[voltage]
channel = 1
"""
TURBINE: Final = """\
id = "turbine-01"
kind = "turbine"
cell = "north"
place = [53.6, 10.0]
backend = "mock"

[broker]
url = "mqtt://localhost"

[turbine]
rotor_diameter_m = 100

[adc]

[anemometer]
pin = 4
mean_s = 10
stuck_after_s = 20
missing_after_s = 60

[vane]
channel = 2
stuck_after_s = 30

[brake]
pin = 27
release_after_s = 5
"""
