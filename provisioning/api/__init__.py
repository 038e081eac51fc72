"""What `import gridfleet` offers to Python programs and notebooks: see docs/api.md."""
