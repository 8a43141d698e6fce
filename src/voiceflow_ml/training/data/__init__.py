"""Real human speech from Debian packages, labelled by speaker and split for good."""
