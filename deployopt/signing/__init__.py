"""Who vouches for a bundle: signatures, bills of materials, the policy of what is let in."""
