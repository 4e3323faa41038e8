"""Writes a scikit-learn forest as forest.json, which Millrace reads: export_forest(forest, feature_names, path).

scikit-learn itself stores pickles only, which run code when they are read.
"""
import json

import sklearn


def export_forest(forest, feature_names, path):
    is_classifier = hasattr(forest, "classes_")
    trees = []
    for estimator in forest.estimators_:
        tree = estimator.tree_
        if tree.n_outputs != 1:
            raise ValueError("forests of several outputs are not read")
        trees.append({
            "feature": tree.feature.tolist(),
            "threshold": tree.threshold.tolist(),
            "left": tree.children_left.tolist(),
            "right": tree.children_right.tolist(),
            "missing_left": tree.missing_go_to_left.astype(int).tolist(),
            "value": tree.value.reshape(tree.node_count, -1).ravel().tolist(),
            "cover": tree.weighted_n_node_samples.tolist(),
        })
    document = {
        "format": "millrace-forest",
        "version": 1,
        "trainer": f"scikit-learn {sklearn.__version__}",
        "task": "classification" if is_classifier else "regression",
        "classes": len(forest.classes_) if is_classifier else 1,
        "features": list(feature_names),
        "trees": trees,
    }
    with open(path, "w") as file:
        json.dump(document, file)
