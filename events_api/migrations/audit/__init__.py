"""The tables of the audit trail through their versions."""
