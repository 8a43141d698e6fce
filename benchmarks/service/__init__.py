"""The service beside a plain one, at half of its capacity, with live streams, and overloaded."""
