"""The service: a model behind HTTP whose version changes without a request being dropped."""
