"""Provable lies: whose they are, and the suspensions that follow."""
