"""Nests of tuples, lists and dicts seen as a flat list of leaves and a description of the nest."""

__all__ = ["TreeSpec", "tree_flatten", "tree_leaves", "tree_map", "tree_unflatten"]


class TreeSpec:
    """The shape of a nest: its type, its keys (of a dict) and the nests within; a leaf has no type."""

    __slots__ = ("type", "context", "children_specs")

    def __init__(self, type=None, context=None, children_specs=()):
        self.type, self.context, self.children_specs = type, context, list(children_specs)

    @property
    def num_leaves(self):
        return 1 if self.type is None else sum(child.num_leaves for child in self.children_specs)

    def __eq__(self, other):
        return isinstance(other, TreeSpec) and (self.type, self.context, self.children_specs) == (
            other.type,
            other.context,
            other.children_specs,
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self):
        if self.type is None:
            return "*"
        return f"TreeSpec({self.type.__name__}, {self.context}, {self.children_specs})"


def _children(tree):
    kind = type(tree)
    if kind is tuple or kind is list:
        return kind, None, tree
    if isinstance(tree, dict):
        return kind, list(tree), list(tree.values())
    if isinstance(tree, tuple):  # named tuples, and the results of max() and the like
        return kind, None, tree
    return None, None, ()


def tree_flatten(tree):
    """(leaves, TreeSpec): what is no tuple, list or dict is a leaf.

    >>> tree_flatten({"a": 1, "b": (2, [3])})[0]
    [1, 2, 3]
    """
    leaves: list = []

    def visit(node):
        kind, context, children = _children(node)
        if kind is None:
            leaves.append(node)
            return TreeSpec()
        return TreeSpec(kind, context, [visit(child) for child in children])

    return leaves, visit(tree)


def tree_unflatten(leaves, treespec):
    """The nest again, from as many leaves as it had."""
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten(leaves, treespec): `leaves` has length {len(leaves)} but the spec refers to a pytree "
            f"that holds {treespec.num_leaves} items ({treespec})."
        )
    rest = iter(leaves)

    def build(spec):
        if spec.type is None:
            return next(rest)
        children = [build(child) for child in spec.children_specs]
        if isinstance(spec.context, list):
            return spec.type(zip(spec.context, children, strict=True))
        if spec.type in (tuple, list):
            return spec.type(children)
        return spec.type(*children) if hasattr(spec.type, "_fields") else spec.type(children)

    return build(treespec)


def tree_leaves(tree):
    """The leaves alone."""
    return tree_flatten(tree)[0]


def tree_map(func, tree, *rests):
    """func(leaf, …) of every leaf, in the same nest; `rests` are nests of the same shape."""
    leaves, spec = tree_flatten(tree)
    others = [tree_flatten(rest)[0] for rest in rests]
    return tree_unflatten([func(*row) for row in zip(leaves, *others, strict=True)], spec)
