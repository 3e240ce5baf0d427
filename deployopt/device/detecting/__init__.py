"""Object detection: a model's answer becomes boxes, and boxes a mean average precision (mAP)."""
