"""What is known in advance: models, and the data that judges them."""
