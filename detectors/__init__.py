"""From pictures to detections: models behind backends, labels, gates and batches."""
