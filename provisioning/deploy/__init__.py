"""Files and objects for Docker Compose, Kubernetes and offline installation."""
