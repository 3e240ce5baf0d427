"""Every node gets a name of its own, so that a layer can be kept in float by name."""

import onnx


def name_nodes(model: onnx.ModelProto) -> None:
    """Name the nameless and the doubled, by type and place; the same graph gives the same names."""
    seen: set[str] = set()
    for position, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{position}"
            while node.name in seen:
                node.name += "_"
        seen.add(node.name)
