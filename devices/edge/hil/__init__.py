"""Hardware in the loop: a mocked Raspberry Pi, models of the wind and of a vehicle around it, and a test bench."""
