"""One rule a kind of budget, each a check of one artifact's findings; core/gate.py asks them."""
