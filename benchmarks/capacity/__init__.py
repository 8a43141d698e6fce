"""The capacity model beside the service that it is a model of."""
