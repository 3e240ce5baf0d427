"""Language models through torch: reading foreign forms, building for the device, scoring."""
