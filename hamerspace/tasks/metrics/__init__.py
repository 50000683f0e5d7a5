"""Quality metrics over scikit-learn. A new one is one line here, or an entry point."""

from hamerspace._registry import Registry
from hamerspace.tasks.metrics.base import Metric, drop_points, drop_unit

METRICS: Registry[Metric] = Registry(
    "metric",
    "hamerspace.metrics",
    {
        "accuracy": "hamerspace.tasks.metrics.classification:ACCURACY",
        "top5_accuracy": "hamerspace.tasks.metrics.classification:TOP5_ACCURACY",
        "balanced_accuracy": "hamerspace.tasks.metrics.classification:BALANCED_ACCURACY",
        "f1_macro": "hamerspace.tasks.metrics.classification:F1_MACRO",
        "average_precision": "hamerspace.tasks.metrics.classification:AVERAGE_PRECISION",
        "roc_auc": "hamerspace.tasks.metrics.classification:ROC_AUC",
        "r2": "hamerspace.tasks.metrics.regression:R2_SCORE",
        "rmse": "hamerspace.tasks.metrics.regression:RMSE",
        "mae": "hamerspace.tasks.metrics.regression:MAE",
        "agreement": "hamerspace.tasks.metrics.fidelity:AGREEMENT",
        "cosine": "hamerspace.tasks.metrics.fidelity:COSINE",
        "fidelity_r2": "hamerspace.tasks.metrics.fidelity:FIDELITY_R2",
        "fidelity_r2_all": "hamerspace.tasks.metrics.fidelity:FIDELITY_R2_ALL",
    },
)

__all__ = ["METRICS", "Metric", "drop_points", "drop_unit"]
