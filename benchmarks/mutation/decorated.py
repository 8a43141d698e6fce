"""Functions under a decorator, mutated by mutmut too.

mutmut copies a function once for each mutant, decorators and all, and therefore leaves decorated functions alone.
What is copied here is the bare function, and the decorators stay on the one that chooses between the copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import libcst
from mutmut.mutation import file_mutation

DECORATORS = {"property", "cached_property", "contextmanager", "lru_cache"}
"""Those that only wrap a function. Pydantic's validators register it, and a copy would be one more of them."""


def is_wrapped_only(node: Any) -> bool:
    """Whether a node is a function whose decorators are all known only to wrap it."""
    if not isinstance(node, libcst.FunctionDef) or not node.decorators:
        return False
    found = [one.decorator for one in node.decorators]
    return {getattr(one.func if isinstance(one, libcst.Call) else one, "value", "") for one in found} <= DECORATORS


def mutate_decorated() -> None:
    """Have mutmut mutate such functions, from now on and in this process."""
    visitor: Any = file_mutation.MutationVisitor
    module: Any = file_mutation
    skips: Callable[[Any, Any], bool] = visitor._skip_node_and_children
    arrange: Callable[..., tuple[Any, list[Any], Any, Any]] = module.function_trampoline_arrangement

    def skips_fewer(self: Any, node: Any) -> bool:
        return not is_wrapped_only(node) and skips(self, node)

    def arrange_bare(function: Any, mutants: Sequence[Any], class_name: str | None) -> tuple[Any, list[Any], Any, Any]:
        bare = function.with_changes(decorators=[]) if is_wrapped_only(function) else function
        declared, functions, assigned, names = arrange(bare, mutants, class_name)
        if bare is not function:
            chooser = functions[0]
            functions[0] = chooser.with_changes(decorators=[*function.decorators, *chooser.decorators])
        return declared, functions, assigned, names

    visitor._skip_node_and_children = skips_fewer
    module.function_trampoline_arrangement = arrange_bare
