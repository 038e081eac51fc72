"""From a card with Raspberry Pi OS to a device that joins the market at its first boot."""
