"""What runs on the device: sessions, measurements, verification, prediction."""
