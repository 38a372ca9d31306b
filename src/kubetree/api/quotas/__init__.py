"""What objects count for in a ResourceQuota: for the admission plugin that charges and the controller that counts again. Pure."""

from kubetree.api.quotas.evaluators import Evaluator, evaluator_of, total_usage
from kubetree.api.quotas.resource_lists import add, exceeded, largest, masked, pretty, subtract_or_zero, without_zeros

__all__ = [
    "Evaluator",
    "add",
    "evaluator_of",
    "exceeded",
    "largest",
    "masked",
    "pretty",
    "subtract_or_zero",
    "total_usage",
    "without_zeros",
]
