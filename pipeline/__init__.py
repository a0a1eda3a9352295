"""From detections to cases: pure rules and flows, and the runners that make them durable."""
