"""The HTTP door: routes, request models and the one error shape."""
