"""Tests of GridFleet, one file per question."""
