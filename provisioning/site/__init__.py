"""A site's secrets, certificates and users, and the enrolment of single devices."""
