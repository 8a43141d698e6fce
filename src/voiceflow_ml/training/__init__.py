"""Data, simulation and training loops for the models (extra ``train``)."""
