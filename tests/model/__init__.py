"""Random histories against small models: feeds and streams on virtual time, and every store as it is."""
