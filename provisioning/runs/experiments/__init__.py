"""Experiments: manifests of runs, runs again from them, sweeps that can be resumed, and samples of settings."""
