"""What a model sees and what the city makes of it, measured against what people say is there."""
