"""The agents: state machines without I/O."""
