"""The models: their networks, what their outputs mean, and the one that ships in the package.

Nothing heavy is imported here: ``fast_cnn`` needs torch, the rest only numpy.
"""
