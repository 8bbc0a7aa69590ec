"""Plans of documents: compiled when first asked for, kept with their document."""

from dataclasses import dataclass, field
from typing import Any

import orjson
from graphql import (
    DirectiveNode,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    visit,
)
from graphql.execution.values import VariableValues
from prometheus_client import Counter

from gateway.context import Context
from gateway.execution.compiler import NotCompiled, compile_operation
from gateway.execution.fragments import Fragments
from gateway.execution.plan import Plan
from mesh import telemetry

KEPT_PLANS = 16
"""Of one document: operations times values of their conditions. What is beyond them is answered by graphql-core."""

_log = telemetry.get_logger(__name__)
_answers = Counter("gateway_answers", "Answers by who made them: a compiled plan or graphql-core", ["by"])
by_plan, _by_core = _answers.labels("plan"), _answers.labels("core")

Key = tuple[Any, ...]


@dataclass(slots=True)
class Plans:
    """The plans of one document."""

    schema: GraphQLSchema
    tree: DocumentNode
    fragments: Fragments
    _conditions: tuple[str, ...] = ()
    _known: dict[Key, Plan | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._conditions = _conditions_of(self.tree)

    async def answer(
        self, operation: OperationDefinitionNode, variables: VariableValues, context: Context, root: Any = None
    ) -> bytes | None:
        """Return the finished answer; `None` when graphql-core must answer, with what the context has fetched."""
        plan = self._plan(operation, variables) if context.viewer is not None else None
        answer = None if plan is None else await _attempt(plan, context, variables, root)
        (_by_core if answer is None else by_plan).inc()
        return answer

    def at_once(self, operation: OperationDefinitionNode, variables: VariableValues) -> Plan | None:
        """Return the plan of an operation if it awaits nothing and answers alike whatever the variables are."""
        plan = self._plan(operation, variables)
        return None if plan is None or plan.arguments else plan

    def _plan(self, operation: OperationDefinitionNode, variables: VariableValues) -> Plan | None:
        key = (id(operation), *(variables.coerced.get(name) for name in self._conditions))
        if key in self._known:
            return self._known[key]
        if len(self._known) >= KEPT_PLANS:
            return None
        plan = self._known[key] = self._compiled(operation, variables)
        return plan

    def _compiled(self, operation: OperationDefinitionNode, variables: VariableValues) -> Plan | None:
        fragments = {one.name.value: one for one in self.tree.definitions if isinstance(one, FragmentDefinitionNode)}
        try:
            return compile_operation(self.schema, operation, fragments, variables, self.fragments)
        except NotCompiled:
            return None
        except Exception:  # a document must never fail for want of speed
            _log.exception("plan_failed")
            return None


async def _attempt(plan: Plan, context: Context, variables: VariableValues, root: Any) -> bytes | None:
    try:
        return orjson.dumps({"data": await plan.run(context, variables, root)})
    except Exception:  # whatever it was: graphql-core meets it again and says what it means
        return None


def _conditions_of(tree: DocumentNode) -> tuple[str, ...]:
    """Return the names of the variables that stand in directives."""
    finder = _ConditionFinder()
    visit(tree, finder)
    return tuple(finder.names)


class _ConditionFinder(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, None] = {}

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        for argument in node.arguments or ():
            if isinstance(argument.value, VariableNode):
                self.names[argument.value.name.value] = None
