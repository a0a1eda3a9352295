"""Sensors that tell of themselves by MQTT: smoke detectors, water-level gauges, whatever gives a number or a yes."""
