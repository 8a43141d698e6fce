"""What is run beside the package: the site (docs), a rented machine (gcp)."""
