"""Fine-tuning classifiers of texts and images; what needs torch is imported file by file."""
