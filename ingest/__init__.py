"""From cameras to frames: sources, mailboxes, watchdogs, decoding, and whether a picture can be judged by."""
