"""What a scene is judged by: one file a kind of rule."""
