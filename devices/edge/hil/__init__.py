"""Hardware in the loop: a mocked Raspberry Pi, plants that behave like wind and vehicles, and a bench to test on."""
