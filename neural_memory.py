"""What a user of the service imports: ``from neural_memory import Client``."""

from deployments import jobs
from deployments.client import AsyncClient, Client
from memory_core import __version__
from memory_core.errors import NeuralMemoryError
from memory_core.results import ForgetSelection, Observation

__all__ = ["AsyncClient", "Client", "ForgetSelection", "NeuralMemoryError", "Observation", "__version__", "jobs"]
