"""A whole site: repeatable, the same over a broker, with plausible results, and always in balance."""
