"""The site: hooks of MkDocs, and a check of what was built."""
