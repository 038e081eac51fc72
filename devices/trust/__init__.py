"""Whom an agent believes: limits of enrolment, suspensions, promises kept and broken."""
