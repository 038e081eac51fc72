"""What a client needs to log in at a secured site, and how it checks what the site has signed."""

from gridfleet.broker.credentials.files import REMEDY, FileCredentials, SecretsFolder

__all__ = ["REMEDY", "FileCredentials", "SecretsFolder"]
