"""Whom an agent believes: limits of registration, suspensions, promises kept and broken."""
