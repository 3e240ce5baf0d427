"""Language models on the device: opened, asked for answers, asked what they say of texts."""
