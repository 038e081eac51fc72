"""The accounts of a site: certificates, users, enrolment; and what its processes share."""
