"""What the stand-in for Google Calendar promises, seen from outside wherever that is possible."""
