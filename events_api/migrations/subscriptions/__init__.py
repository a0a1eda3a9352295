"""The tables of subscriptions through their versions."""
