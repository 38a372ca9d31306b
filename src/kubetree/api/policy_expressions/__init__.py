"""The expressions of admission policies and match conditions: what they may use, whether they compile, what types they have.

Pure. The API server evaluates them, validation refuses those that do not compile, and a controller checks their types.
"""

from kubetree.api.policy_expressions.compiled import Compiled, compiled
from kubetree.api.policy_expressions.environments import Scope, Variables, environment

__all__ = ["Compiled", "Scope", "Variables", "compiled", "environment"]
