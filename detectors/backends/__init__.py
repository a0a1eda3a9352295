"""What runs a model: one file a runtime, chosen by name (detectors/config.py, BackendFile, says what a file offers)."""
