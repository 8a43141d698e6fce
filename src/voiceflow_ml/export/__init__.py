"""From a trained checkpoint to a file that runs anywhere (extra ``export``)."""
