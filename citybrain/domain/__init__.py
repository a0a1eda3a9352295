"""The words everything else is written in: values without behaviour of their own, importing nothing beyond the language."""
