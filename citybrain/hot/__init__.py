"""What is fresh and may be lost: latest pictures, heartbeats, camera states."""
