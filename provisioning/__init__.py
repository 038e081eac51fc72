"""The command line, and how GridFleet reaches machines: secrets, containers, flashing, upgrades, checks, chaos."""
