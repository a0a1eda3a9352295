"""Who is told of case events by webhook: what was asked for, how far each has been told, and the telling itself."""
